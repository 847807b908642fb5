/**
 * How long ended operations are kept: the CSMS keeps none of this, so we are the record; but Redis keeps it in memory.
 */
import type { Redis, Result } from 'ioredis';
import type { Keys } from './keys.js';
import { INDEX_FUNCTIONS } from './operation-index.js';

export interface RetentionRules {
  readonly perStation: number;
  readonly days: number;
}

const DAY_MS = 24 * 3600_000;
const BATCH = 500;
/** Locations whose image is remembered; a location with a token of its own is another one each time. */
const FETCHES_KEPT = 1000;

/**
 * Remove records and every mention of them, unless they are open (again): a fetch may be wanted anew at any moment, an
 * ended update may keep its station's slot. A station without ended records is not listed any more.
 */
const REMOVE_SCRIPT = `${INDEX_FUNCTIONS}
local removed = 0
for i = 4, #ARGV do
  if not redis.call('ZSCORE', KEYS[1], ARGV[i]) then
    leave_index(ARGV[3], ARGV[1] .. ARGV[i], ARGV[i], {})
    leave_row(ARGV[3], ARGV[1] .. ARGV[i], ARGV[i])
    redis.call('DEL', ARGV[1] .. ARGV[i])
    redis.call('ZREM', KEYS[2], ARGV[i])
    redis.call('ZREM', KEYS[3], ARGV[i])
    removed = removed + 1
  end
end
if redis.call('EXISTS', KEYS[3]) == 0 then redis.call('SREM', KEYS[4], ARGV[2]) end
return removed`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    khumbuRemove(
      open: string,
      ended: string,
      index: string,
      stations: string,
      recordPrefix: string,
      station: string,
      indexPrefix: string,
      ...ids: string[]
    ): Result<number, Context>;
  }
}

/**
 * Remove what is kept too long or is too many, everywhere it is named. A record that still keeps its station's slot
 * stays. Resolves with the number of records removed. Safe to repeat and to run twice at once.
 */
export async function trimEnded(redis: Redis, keys: Keys, rules: RetentionRules, now: number): Promise<number> {
  redis.defineCommand('khumbuRemove', { lua: REMOVE_SCRIPT, numberOfKeys: 4 });
  const oldest = now - rules.days * DAY_MS;

  /** What an index names beyond its newest `keep`, and what is too old. */
  const trim = async (index: string, keep: number, station: string): Promise<number> => {
    const [tooMany, tooOld] = await Promise.all([
      redis.zrange(index, '0', String(-keep - 1)),
      redis.zrangebyscore(index, '-inf', String(oldest)),
    ]);
    const ids = [...new Set([...tooMany, ...tooOld])];
    let removed = 0;
    for (let at = 0; at < ids.length; at += BATCH) {
      const some = ids.slice(at, at + BATCH);
      const prefix = keys.record('');
      const sets = [keys.open, keys.ended, index, keys.endedStations] as const;
      removed += await redis.khumbuRemove(...sets, prefix, station, keys.index, ...some);
    }
    return removed;
  };

  let removed = await trim(keys.fetches, FETCHES_KEPT, '');
  for (const station of await redis.smembers(keys.endedStations)) {
    removed += await trim(keys.endedOf(station), rules.perStation, station);
  }
  return removed;
}
