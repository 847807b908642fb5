/**
 * How long ended operations are kept: the CSMS keeps none of this, so we are the record; but Redis keeps it in memory.
 */
import type { Redis } from 'ioredis';
import type { Keys } from './keys.js';

export interface RetentionRules {
  readonly perStation: number;
  readonly days: number;
}

const DAY_MS = 24 * 3600_000;
const BATCH = 500;

/**
 * Remove what is kept too long or is too many, everywhere it is named. A record that still keeps its station's slot
 * stays. Resolves with the number of records removed. Safe to repeat and to run twice at once.
 */
export async function trimEnded(redis: Redis, keys: Keys, rules: RetentionRules, now: number): Promise<number> {
  const remove = async (station: string, ids: readonly string[]): Promise<number> => {
    const kept = await redis.zmscore(keys.open, ...ids);
    const gone = ids.filter((_id, index) => (kept[index] ?? null) === null);
    if (gone.length === 0) return 0;
    const transaction = redis
      .multi()
      .del(gone.map((id) => keys.record(id)))
      .zrem(keys.ended, ...gone);
    if (station !== '') transaction.zrem(keys.endedOf(station), ...gone);
    await transaction.exec();
    return gone.length;
  };

  const oldest = now - rules.days * DAY_MS;
  let removed = 0;
  for (const station of await redis.smembers(keys.stations)) {
    const key = keys.endedOf(station);
    const tooMany = await redis.zrange(key, '0', String(-rules.perStation - 1));
    const tooOld = await redis.zrangebyscore(key, '-inf', String(oldest), 'LIMIT', 0, BATCH);
    const ids = [...new Set([...tooMany, ...tooOld])];
    if (ids.length > 0) removed += await remove(station, ids);
  }
  // What belongs to no station: fetches nobody has wanted for as long.
  const rest = await redis.zrangebyscore(keys.ended, '-inf', String(oldest), 'LIMIT', 0, BATCH);
  if (rest.length > 0) removed += await remove('', rest);
  return removed;
}
