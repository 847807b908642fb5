/** Stations with something to lose: an update that waits, one that is scheduled, a reserved reset, statuses held. */
import { askUntilServed } from '@khumbu/test-support/ask-until-served';
import { awaitUntil } from '@khumbu/test-support/events';
import { type EverestClient, startEverestClient } from '@khumbu/test-support/everest-client';
import { makeImage } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import type { Cleanup } from '../depot/cleanup.js';
import type { Depot } from '../depot/depot.js';

export const SETTLED = ['cs-1', 'cs-2', 'cs-3', 'cs-4', 'cs-5'] as const;
const PATIENCE_MS = 20_000;
const LATER = '2099-01-01T00:00:00Z';

/** Resolves when all of it is stored and nothing moves any more. `prefixOf` is what stands before a station's topics. */
export async function settleStations(
  cleanup: Cleanup,
  depot: Depot,
  prefixOf: (station: string) => string,
): Promise<void> {
  const origin = await startOrigin();
  cleanup.teardown(() => origin.close());
  const location = origin.serve('/image.bin', makeImage(100_000).bytes, {});
  const clients = await Promise.all(
    SETTLED.map((moduleId) => startEverestClient({ mqttUrl: depot.mqttUrl, moduleId, prefix: prefixOf(moduleId) })),
  );
  cleanup.teardown(() => Promise.all(clients.map((client) => client.close(true))));
  const [waits, scheduled, , reserved, away] = clients as EverestClient[];
  const accepted = async (client: EverestClient | undefined, leaf: string, payload: unknown): Promise<void> => {
    // Right after the start workers may not be known yet, and a busy machine answers by default.
    const isAccepted = async (): Promise<boolean> => {
      const { reply } = (await client?.request(leaf, payload)) ?? {};
      return reply === 'Accepted' || reply === true;
    };
    await awaitUntil(isAccepted, PATIENCE_MS, `${leaf} to be accepted`);
  };
  for (const client of clients) await client.request('get_boot_reason');
  await accepted(waits, 'update_firmware', { request_id: 1, location });
  await waits?.awaitStatus(1, 'Downloaded', PATIENCE_MS);
  await accepted(scheduled, 'update_firmware', { request_id: 2, location, retrieve_timestamp: LATER });
  await scheduled?.awaitStatus(2, 'DownloadScheduled', PATIENCE_MS);
  await accepted(reserved, 'is_reset_allowed', 'Soft');
  // Two heartbeats and then none: its statuses are held.
  away?.startHeartbeats(1000);
  await awaitUntil(
    async () => {
      const stored = await depot.redis.hget('khumbu:station:cs-5', 'heartbeat');
      return stored !== null && (JSON.parse(stored) as { id: number }).id >= 2;
    },
    PATIENCE_MS,
    'the heartbeats of cs-5',
  );
  away?.stopHeartbeats();
  const isAway = async (): Promise<boolean> => (await depot.redis.hget('khumbu:station:cs-5', 'awaySince')) !== null;
  await awaitUntil(isAway, PATIENCE_MS, 'cs-5 to be away');
  const ask = () =>
    depot.fetch('/v1/stations/cs-5/firmware-updates', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ location }),
    });
  const asked = await askUntilServed(ask, PATIENCE_MS, 'the update over REST');
  if (asked.status !== 202) throw new Error(`the update over REST: ${asked.status} ${await asked.text()}`);
  const held = async (): Promise<boolean> => (await depot.redis.llen('khumbu:outbox:cs-5')) >= 2;
  await awaitUntil(held, PATIENCE_MS, 'held statuses of cs-5');
}
