/** The side of REST: asks the gateway that leads for the MQTT frames of a station. Nothing of it is stored. */
import { randomUUID } from 'node:crypto';
import type { Keys } from '@khumbu/operations/records/keys';
import type { MqttFramesView } from '@khumbu/rest-contract/mqtt-frames';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { Redis } from 'ioredis';

const PATIENCE_MS = 3000;
/** Stations that are asked for at once; an answer may have some hundred kilobytes. */
const MOST_AT_ONCE = 4;

export interface FrameAsker {
  /**
   * The last frames of a station. Rejects with `NO_ANSWER` when no gateway leads, or the one that does is busy, and with `TOO_MANY`
   * while others are asked for. Safe to repeat.
   */
  readonly ask: (station: string) => Promise<MqttFramesView>;
  readonly close: () => void;
}

export interface FrameAskerOptions {
  readonly redis: Redis;
  /** A connection of its own. */
  readonly subscriber: Redis;
  readonly keys: Keys;
  readonly patienceMs?: number;
}

export function createFrameAsker({ redis, subscriber, keys, patienceMs = PATIENCE_MS }: FrameAskerOptions): FrameAsker {
  /** By channel. */
  const answers = new Map<string, (text: string) => void>();
  /** By station. */
  const asked = new Map<string, Promise<MqttFramesView>>();
  subscriber.on('message', (channel: string, text: string) => answers.get(channel)?.(text));

  const askOnce = async (station: string): Promise<MqttFramesView> => {
    const id = randomUUID();
    const channel = keys.mqttFrames(id);
    let patience: ReturnType<typeof setTimeout> | undefined;
    const answer = new Promise<string>((resolve, reject) => {
      answers.set(channel, resolve);
      const giveUp = (): void => reject(new CodedError('NO_ANSWER', 'no gateway that leads has answered; ask again'));
      patience = setTimeout(giveUp, patienceMs);
    });
    // Redis may fail before anybody waits for it.
    answer.catch(() => undefined);
    try {
      await subscriber.subscribe(channel);
      await redis.publish(keys.notifications, `frames ${id} ${station}`);
      return JSON.parse(await answer) as MqttFramesView;
    } finally {
      clearTimeout(patience);
      answers.delete(channel);
      subscriber.unsubscribe(channel).catch(() => undefined);
    }
  };

  return {
    ask(station) {
      const before = asked.get(station);
      if (before) return before;
      if (asked.size >= MOST_AT_ONCE)
        return Promise.reject(new CodedError('TOO_MANY', 'frames of other stations are being read; ask again'));
      const asking = askOnce(station).finally(() => asked.delete(station));
      asked.set(station, asking);
      return asking;
    },
    close() {
      subscriber.disconnect();
    },
  };
}
