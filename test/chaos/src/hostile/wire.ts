/** Hostile clients: they publish what they are given, with every property MQTT 5 has, as fast as the broker takes it. */
import { connectAsync, type IClientPublishOptions } from 'mqtt';
import type { Random } from '../random.js';
import { MARK } from './spy.js';

export interface Shot {
  readonly topic: string;
  readonly bytes: Buffer;
}

export interface Wire {
  /** Resolves when the broker has them all, or has refused some; with how many it refused. */
  publish(shots: readonly Shot[], random: Random): Promise<number>;
  close(): Promise<void>;
}

function optionsOf(random: Random): IClientPublishOptions {
  const dice = random.next();
  const odd = random.chance(0.2);
  return {
    qos: dice < 0.2 ? 0 : dice < 0.8 ? 1 : 2,
    retain: random.chance(0.002),
    properties: {
      userProperties: odd ? { [MARK]: ['1', '', '日本'], constructor: 'x' } : { [MARK]: '1' },
      ...(odd
        ? {
            responseTopic: random.pick(['$SYS/x', 'everest_api/1/system/cs-1/m2e/reply/1', 'a'.repeat(5000)]),
            correlationData: Buffer.from([0, 1, 255]),
            contentType: random.pick(['application/json; charset=utf-16', '', 'x'.repeat(2000)]),
            messageExpiryInterval: random.pick([1, 60, 4_294_967_295]),
            payloadFormatIndicator: random.chance(0.5),
          }
        : {}),
    },
  };
}

/** A client whose publishes also end with its connection: mqtt.js leaves them open. */
async function openLine(mqttUrl: string) {
  const client = await connectAsync(mqttUrl, { protocolVersion: 5, reconnectPeriod: 0 });
  client.on('error', () => {});
  const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
  return {
    isOpen: () => client.connected,
    /** Whether the broker has it. */
    publish: (shot: Shot, options: IClientPublishOptions): Promise<boolean> =>
      Promise.race([
        client.publishAsync(shot.topic, shot.bytes, options).then(
          () => true,
          () => false,
        ),
        closed.then(() => false),
      ]),
    close: () => client.endAsync(true),
  };
}

/** mosquitto throws out who has more than 20 messages open. */
const OPEN_AT_ONCE = 16;

export async function openWire(mqttUrl: string, count: number): Promise<Wire> {
  const lines = await Promise.all(Array.from({ length: count }, () => openLine(mqttUrl)));
  return {
    async publish(shots, random) {
      let next = 0;
      let refused = 0;
      const publishOn = async (at: number): Promise<void> => {
        for (let shot = shots[next++]; shot; shot = shots[next++]) {
          let line = lines[at] ?? (await openLine(mqttUrl));
          if (!line.isOpen()) {
            line = await openLine(mqttUrl);
            lines[at] = line;
          }
          if (!(await line.publish(shot, optionsOf(random)))) refused += 1;
        }
      };
      await Promise.all(Array.from({ length: count * OPEN_AT_ONCE }, (_, lane) => publishOn(lane % count)));
      return refused;
    },
    close: async () => void (await Promise.all(lines.map((line) => line.close()))),
  };
}
