/** Stations that ask, with the behaviour of EVerest: requests at QoS 2, replies at QoS 0, one connection a station. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type ChannelName, fallbackReply } from '@khumbu/shared/contract/channels';
import { requestFrame } from '@khumbu/shared/contract/everest-frames';
import type { MqttClient } from 'mqtt';
import { connectMqtt } from './mqtt-client.js';
import { serveCalls } from './remote.js';

/** The longest wait for a reply here. */
const REPLY_MS = 60_000;
/** Decisions take some milliseconds; a default that comes later comes because the time for the answer was over. */
const LATE_MS = 300;

export interface ConnectOptions {
  readonly url: string;
  readonly prefix: string;
  readonly stations: readonly string[];
}

export interface Question {
  readonly leaf: ChannelName;
  readonly payload?: unknown;
  /** The reply that counts; another one makes the measurement void: a default is quickly given. */
  readonly expect: unknown;
  /** Beside other processes a default may come because there was no processor time: that is slow, and not broken. */
  readonly mayBeLate?: boolean;
}

export interface RateOptions {
  readonly perS: number;
  readonly seconds: number;
  readonly questions: readonly Question[];
  /** From which station on, in turn. */
  readonly from?: number;
}

export interface LoadOptions {
  readonly inFlight: number;
  readonly seconds: number;
  readonly question: Question;
}

interface Station {
  readonly client: MqttClient;
  readonly home: string;
}

let prefix = '';
let stations: Station[] = [];
const waiting = new Map<string, (text: string) => void>();

/** In place of the stations of an earlier call. */
async function connect(options: ConnectOptions): Promise<void> {
  prefix = options.prefix;
  await Promise.all(stations.map(({ client }) => client.endAsync(true)));
  stations = await Promise.all(
    options.stations.map(async (name) => {
      const client = await connectMqtt(options.url);
      const home = `everest_api/1/system/${name}`;
      client.on('message', (topic, payload) => {
        const id = topic.slice(topic.lastIndexOf('/') + 1);
        waiting.get(id)?.(payload.toString());
      });
      await client.subscribeAsync(`${prefix}${home}/m2e/#`, { qos: 0 });
      return { client, home };
    }),
  );
}

/** Milliseconds from the publish to the reply. */
function ask(station: Station, { leaf, payload, expect, mayBeLate = false }: Question): Promise<number> {
  const id = randomUUID();
  const frame = requestFrame(`${station.home}/m2e/reply/${id}`, payload);
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      waiting.delete(id);
      reject(new Error(`${leaf}: ${why}`));
    };
    const timer = setTimeout(() => fail('no reply'), REPLY_MS);
    const sentAt = performance.now();
    waiting.set(id, (text) => {
      const ms = performance.now() - sentAt;
      clearTimeout(timer);
      const isLate = mayBeLate && ms > LATE_MS && text === JSON.stringify(fallbackReply(leaf));
      if (text !== JSON.stringify(expect) && !isLate) return fail(`replied ${text}`);
      waiting.delete(id);
      resolve(ms);
    });
    station.client.publish(`${prefix}${station.home}/e2m/${leaf}`, frame, { qos: 2 });
  });
}

const at = <T>(list: readonly T[], index: number): T => list[index % list.length] as T;

serveCalls({
  connect,

  /** One heartbeat each, so that no station is new to the gateway. */
  async beat() {
    const sent = stations.map(({ client, home }) =>
      client.publishAsync(`${prefix}${home}/e2m/heartbeat`, '0', { qos: 2 }),
    );
    await Promise.all(sent);
  },

  /** So many a second, evenly, whether or not the earlier ones are answered. Milliseconds of each. */
  async atRate({ perS, seconds, questions, from = 0 }: RateOptions): Promise<number[]> {
    const began = performance.now();
    const answers: Promise<number>[] = [];
    for (let n = 0; n < perS * seconds; n++) {
      const dueIn = began + (n * 1000) / perS - performance.now();
      if (dueIn > 0) await pause(dueIn);
      // Every station comes to every question.
      const turn = n + Math.floor(n / stations.length);
      answers.push(ask(at(stations, from + n), at(questions, turn)));
    }
    return Promise.all(answers);
  },

  /** So many at any time. Replies a second, without the first fifth, in which both sides get warm. */
  async inFlight({ inFlight, seconds, question }: LoadOptions): Promise<number> {
    const began = performance.now();
    const warm = began + seconds * 200;
    const end = began + seconds * 1000;
    let answered = 0;
    const askOn = async (lane: number): Promise<void> => {
      while (performance.now() < end) {
        await ask(at(stations, lane), question);
        const now = performance.now();
        if (now >= warm && now < end) answered += 1;
      }
    };
    await Promise.all(Array.from({ length: inFlight }, (_, lane) => askOn(lane)));
    return answered / (seconds * 0.8);
  },
});
