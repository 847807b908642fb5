/** A broker, simulated stations at it, and a peer that knows nothing of our code. */
import { startMosquitto } from '@khumbu/test-support/mosquitto';
import { connectAsync, type IPublishPacket } from 'mqtt';
import type { Test } from 'tap';
import { createEverestModule } from '../src/everest-module.js';
import type { EverestModuleOptions } from '../src/everest-options.js';

export const DEADLINE_MS = 180_000;
export const BOOTED = { get_boot_reason: '"PowerUp"' };

interface Heard {
  readonly topic: string;
  readonly text: string;
  readonly qos: number;
  readonly retain: boolean;
}

export async function openWire(t: Test, dir: string) {
  const broker = await startMosquitto({ dir });
  t.teardown(() => broker.stop());

  /** A plain MQTT 5 client that knows nothing of our code: hears all below `root`, answers by a table of leaves. */
  async function foreigner(t: Test, root: string, replies: Record<string, string | undefined> = {}) {
    const client = await connectAsync(broker.url, { protocolVersion: 5 });
    client.stream.on('error', () => {});
    const heard: Heard[] = [];
    const waiting = new Set<() => void>();
    const say = (topic: string, text: string, retain = false) => client.publishAsync(topic, text, { qos: 1, retain });
    client.on('message', (topic: string, bytes: Buffer, packet: IPublishPacket) => {
      const text = bytes.toString();
      heard.push({ topic, text, qos: packet.qos, retain: packet.retain });
      const leaf = topic.split('/').at(-1) ?? '';
      const answer = topic.includes('/e2m/') ? replies[leaf] : undefined;
      if (answer !== undefined) void say(`${root}${JSON.parse(text).headers.replyTo}`, answer);
      for (const look of waiting) look();
    });
    await client.subscribeAsync(`${root}#`, { qos: 2, rap: true });
    t.teardown(() => client.endAsync(true));
    const waitFor = <T>(look: () => T | undefined, what: string): Promise<T> =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${what} did not come`)), DEADLINE_MS);
        const again = (): void => {
          const value = look();
          if (value === undefined) return;
          clearTimeout(timer);
          waiting.delete(again);
          resolve(value);
        };
        waiting.add(again);
        again();
      });
    return {
      heard,
      say,
      on: (end: string) => heard.filter(({ topic }) => topic.endsWith(end)),
      message: (end: string, index = 0): Promise<Heard> =>
        waitFor(() => heard.filter(({ topic }) => topic.endsWith(end))[index], `${end} [${index}]`),
    };
  }

  let stationCount = 0;
  function station(t: Test, options: Partial<EverestModuleOptions> = {}) {
    stationCount += 1;
    const id = options.station ?? `s${stationCount}`;
    const module = createEverestModule({
      mqttUrl: broker.url,
      station: id,
      topicPrefix: `t${stationCount}/{station}/`,
      dialect: 'ocpp2.x',
      heartbeatMs: 50,
      communicationCheckS: 0,
      registrationMs: 0,
      ...options,
    });
    t.teardown(() => module.stop());
    const root = (options.topicPrefix ?? `t${stationCount}/{station}/`).replace('{station}', id);
    return { module, root, home: `${root}everest_api/1/system/${module.moduleId}/` };
  }

  return { foreigner, station };
}
