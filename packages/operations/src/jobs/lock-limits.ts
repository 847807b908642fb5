/**
 * BullMQ's keys that expire live on the clock of Redis' host: set back by an hour, the lock of a dead worker outlives it
 * by that hour, and so does the mark that keeps all workers from looking for such locks. No key of a queue may have more
 * time left than it was given.
 */
import type { Redis } from 'ioredis';

/** KEYS: the active list, the mark of the last look for dead workers. ARGV: prefix of a job's key, longest lock, longest mark. */
const SHORTEN = `
local cut = 0
local function limit(key, ms)
  if redis.call('PTTL', key) > tonumber(ms) then
    redis.call('PEXPIRE', key, ms)
    cut = cut + 1
  end
end
limit(KEYS[2], ARGV[3])
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do limit(ARGV[1] .. id .. ':lock', ARGV[2]) end
return cut`;

/** `lockMs`, `lookMs`: the longest lock, and the longest mark. Returns how many keys were cut short. */
export const shortenLocks = async (
  redis: Redis,
  toKey: (part: string) => string,
  lockMs: number,
  lookMs: number,
): Promise<number> =>
  Number(await redis.eval(SHORTEN, 2, toKey('active'), toKey('stalled-check'), toKey(''), lockMs, lookMs));
