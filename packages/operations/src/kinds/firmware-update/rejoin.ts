/** An update whose fetch is over without it joins again. */
import type { Moment } from '../../clock/depot-clock.js';
import type { AnyRecord } from '../../records/record.js';
import { type FirmwareFetchRecord, isFetch } from '../firmware-fetch/record.js';
import type { FirmwareUpdateRecord } from './record.js';

/** Pure: the fetch that this update waits for has ended without it. */
export const waitsForNothing = (update: FirmwareUpdateRecord, fetch: FirmwareFetchRecord | undefined): boolean => {
  if (update.state !== 'Downloading' || !update.fetch) return false;
  if (!fetch || fetch.generation > update.fetch.generation) return true;
  const listed = [...fetch.waiters, ...fetch.nextWaiters].includes(update.id);
  return fetch.state === 'Resting' || !listed;
};

/** The update as it joins again; `undefined`: its fetch runs. */
export async function rejoin(
  update: FirmwareUpdateRecord,
  load: (id: string) => Promise<AnyRecord | undefined>,
  now: Moment,
): Promise<FirmwareUpdateRecord | undefined> {
  if (update.state !== 'Downloading' || !update.fetch) return undefined;
  const found = await load(update.fetch.id);
  if (!waitsForNothing(update, found && isFetch(found) ? found : undefined)) return undefined;
  const { fetch: _fetch, ...rest } = update;
  return { ...rest, run: update.run + 1, updatedAt: now.wall };
}
