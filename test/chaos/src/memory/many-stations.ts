/**
 * Many stations on one MQTT connection, in EVerest's frames. It keeps nothing of what it has received but what a caller
 * waits for, so that a run of any length fits.
 */
import { randomUUID } from 'node:crypto';
import { requestFrame } from '@khumbu/shared/contract/everest-frames';
import { within } from '@khumbu/test-support/events';
import { readStatus } from '@khumbu/test-support/everest-client';
import { connectAsync } from 'mqtt';
import type { Cleanup } from '../depot/cleanup.js';

const HOME = 'everest_api/1/system';
const REPLY_MS = 20_000;
const FINAL_MS = 60_000;
const FINAL = new Set([
  'DownloadFailed',
  'InvalidSignature',
  'InstallVerificationFailed',
  'InstallationFailed',
  'Installed',
  'Uploaded',
  'UploadFailure',
  'PermissionDenied',
  'BadMessage',
  'NotSupportedOperation',
  'AcceptedCanceled',
]);

export interface ManyStations {
  /** Ask; resolves with the answer. */
  request(station: string, leaf: string, payload?: unknown): Promise<unknown>;
  /** Send what is not answered. */
  tell(station: string, leaf: string, payload?: unknown): Promise<void>;
  /** Call it before the request with this id; resolves with the operation's last status. */
  final(station: string, requestId: number): () => Promise<string>;
}

export async function connectManyStations(cleanup: Cleanup, mqttUrl: string): Promise<ManyStations> {
  const mqtt = await connectAsync(mqttUrl, { protocolVersion: 5, clean: true, reconnectPeriod: 0, keepalive: 60 });
  (mqtt.stream as { setNoDelay?: (on: boolean) => void }).setNoDelay?.(true);
  cleanup.teardown(() => mqtt.endAsync(true));
  const waiting = new Map<string, (value: unknown) => void>();
  const settle = (name: string, value: unknown): void => {
    waiting.get(name)?.(value);
    waiting.delete(name);
  };
  mqtt.on('message', (topic, payload) => {
    const [station = '', rest = ''] = topic.slice(HOME.length + 1).split('/m2e/', 2);
    if (rest === 'communication_check') return;
    const text = payload.toString('utf8');
    const json: unknown = JSON.parse(text);
    if (rest.startsWith('reply/')) return settle(rest, json);
    const status = readStatus({ leaf: rest, text, json, retain: false, atMs: 0 });
    if (status && FINAL.has(status.status)) settle(`${station} ${status.requestId}`, status.status);
  });
  // One connection carries what a hundred would; none of it may be dropped because it is slow.
  await mqtt.subscribeAsync(`${HOME}/+/m2e/#`, { qos: 1 });

  const when = (name: string): Promise<unknown> =>
    new Promise((resolve) => {
      waiting.set(name, resolve);
    });
  const send = async (station: string, leaf: string, frame: string): Promise<void> => {
    await mqtt.publishAsync(`${HOME}/${station}/e2m/${leaf}`, frame, { qos: 1 });
  };
  return {
    async request(station, leaf, payload) {
      const uuid = randomUUID();
      const answer = when(`reply/${uuid}`);
      const frame = requestFrame(`${HOME}/${station}/m2e/reply/${uuid}`, payload);
      const [reply] = await Promise.all([
        within(answer, REPLY_MS, `a reply to ${leaf} of ${station}`),
        send(station, leaf, frame),
      ]);
      return reply;
    },
    tell: (station, leaf, payload) => send(station, leaf, JSON.stringify(payload)),
    final(station, requestId) {
      const last = when(`${station} ${requestId}`);
      return async () => String(await within(last, FINAL_MS, `the end of ${requestId} at ${station}`));
    },
  };
}
