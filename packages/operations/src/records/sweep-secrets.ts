/** Ended records that older versions have stored, or still store beside this one, lose the secrets of their locations. */
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Redis } from 'ioredis';
import type { AnyRecord } from './record.js';
import type { RecordStore } from './store.js';

const BATCH = 200;
/** Ends are looked at again for this long: dates of several processes differ, and clocks are set. */
const OVERLAP_MS = 2 * 3600_000;

/**
 * Clean the ended records whose end (milliseconds since 1970) is at `since` or later. Resolves with how many were cleaned,
 * and whether none was left out because another commit changed it in that moment. Safe to repeat.
 */
export async function sweepSecrets<R extends AnyRecord>(
  redis: Redis,
  store: RecordStore<R>,
  since: number,
): Promise<{ readonly cleaned: number; readonly isWhole: boolean }> {
  const { keys } = store;
  const [ended, fetches] = await Promise.all([
    redis.zrangebyscore(keys.ended, String(since), '+inf'),
    redis.zrangebyscore(keys.fetches, String(since), '+inf'),
  ]);
  const ids = [...ended, ...fetches];
  let cleaned = 0;
  let isWhole = true;
  for (let at = 0; at < ids.length; at += BATCH) {
    for (const record of await store.loadMany(ids.slice(at, at + BATCH))) {
      const { endedAt } = record;
      if (endedAt === undefined || JSON.stringify(store.rules.withoutSecrets(record)) === JSON.stringify(record))
        continue;
      // Its end was told when it ended, by whatever version.
      if (await store.commit(store.transaction().put({ ...record, endTold: endedAt }))) cleaned += 1;
      else isWhole = false;
    }
  }
  return { cleaned, isWhole };
}

/** To be called now and then, with the date: all records at first, then those that have ended since. */
export function createSecretSweep<R extends AnyRecord>(
  redis: Redis,
  store: RecordStore<R>,
  log: Logger,
): (now: number) => Promise<void> {
  let since = 0;
  return async (now) => {
    const { cleaned, isWhole } = await sweepSecrets(redis, store, since);
    if (isWhole) since = now - OVERLAP_MS;
    if (cleaned > 0) log.info({ cleaned }, 'ended operations lost the secrets of their locations');
  };
}
