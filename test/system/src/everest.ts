/** What the tests do as a plain EVerest: ask for updates, give permission, wait for statuses. */
import { CHANNELS, type ChannelName } from '@khumbu/shared/contract/channels';
import type { Charger } from '@khumbu/station-drivers/simulated/charger';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { type EverestClient, type EverestClientOptions, startEverestClient } from '@khumbu/test-support/everest-client';
import type { Test } from 'tap';
import type { Cluster } from './cluster.js';

/** Long enough for a busy machine; nothing here waits that long when all is well. */
export const PATIENCE_MS = 180_000;

export const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();

/**
 * Within this every request has its answer, whatever happens, on any machine; how fast it is, the benchmark tells. A gateway lets
 * no request wait for longer than 2.5 s; the gateway, the broker and the test may each stand still for some seconds more. EVerest
 * waits for 30 s at least.
 */
export const ANSWER_LATEST_MS = 15_000;

const isChannelName = (leaf: string): leaf is ChannelName => leaf in CHANNELS;

/** A client for one station, which asks until the answer is a decision; it leaves with the test. */
export async function connect(
  t: Test,
  cluster: Cluster,
  moduleId: string,
  options: Partial<EverestClientOptions> = {},
): Promise<EverestClient> {
  const client = await startEverestClient({ mqttUrl: cluster.endpoints.mqttUrl, moduleId, ...options });
  t.teardown(() => client.close());
  return {
    ...client,
    request: (leaf, payload, more) =>
      isChannelName(leaf)
        ? askUntilDecided(leaf, () => client.request(leaf, payload, more))
        : client.request(leaf, payload, more),
  };
}

/** Ask for an update; resolves with the answer. */
export async function update(
  client: EverestClient,
  requestId: number,
  request: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  return (await client.request('update_firmware', { request_id: requestId, ...request })).reply;
}

/** Give permission when `trigger` has come, and wait for the end. */
export async function allowAfter(client: EverestClient, requestId: number, trigger: string): Promise<void> {
  await client.awaitStatus(requestId, trigger, PATIENCE_MS);
  await client.allowInstallation();
  await client.awaitStatus(requestId, 'Installed', PATIENCE_MS);
}

/** SHA-256 of the image the charger runs; `factory` before any update. */
export function runningImage({ slots, running }: Charger): string {
  const slot = slots[running];
  return slot.kind === 'image' ? slot.imageSha256 : slot.kind;
}
