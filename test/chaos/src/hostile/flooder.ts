/**
 * A process that sends as fast as it can in the name of one station, until it is killed: questions and requests at QoS 2
 * as EVerest would, and long frames, heartbeats and garbage at QoS 1, each on a connection of its own. Arguments: broker
 * URL, topic prefix, station, most frames a second.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { connectAsync, type MqttClient } from 'mqtt';

const [url = '', prefix = '', station = '', most = '0'] = process.argv.slice(2);
/** Frames a second; 0: as many as go. */
const limit = Number(most);
const home = `everest_api/1/system/${station}`;
const topic = (leaf: string): string => `${prefix}${home}/e2m/${leaf}`;
/** mosquitto throws out who has more than 20 messages open. */
const OPEN_AT_ONCE = 16;
const PAUSE_MS = 2;
let sent = 0;
const began = performance.now();
const isAhead = (): boolean => limit > 0 && sent > ((performance.now() - began) / 1000) * limit;

const framed = (payload: unknown): string =>
  JSON.stringify({ headers: { replyTo: `${home}/m2e/reply/${process.pid}-${sent}` }, payload });
const update = (): string => framed({ request_id: sent, location: 'https://files.example/image.bin' });
const LONG = framed({ request_id: 1, location: `https://files.example/${'x'.repeat(60_000)}` });

const connect = async (): Promise<MqttClient> => {
  const client = await connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 });
  client.on('error', () => {});
  return client;
};

async function keepOpen(qos: 1 | 2, frames: readonly (() => [leaf: string, text: string])[]): Promise<void> {
  const client = await connect();
  const lane = async (): Promise<void> => {
    while (client.connected) {
      if (isAhead()) {
        await pause(PAUSE_MS);
        continue;
      }
      const [leaf, text] = frames[sent % frames.length]?.() ?? ['heartbeat', '0'];
      sent += 1;
      await client.publishAsync(topic(leaf), text, { qos });
    }
  };
  await Promise.all(Array.from({ length: OPEN_AT_ONCE }, lane));
}

setInterval(() => process.stdout.write(`${sent}\n`), 200);
await Promise.all([
  keepOpen(2, [() => ['get_boot_reason', framed(undefined)], () => ['update_firmware', update()]]),
  keepOpen(1, [() => ['update_firmware', LONG], () => ['is_reset_allowed', framed('Soft')]]),
  keepOpen(1, [() => ['heartbeat', String(sent)], () => ['is_reset_allowed', '{"garbage']]),
]);
