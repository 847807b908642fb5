/** A station that is not configured and has gone is forgotten, so that invented names do not pile up. */
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';

/** Not one that has, or had, an operation: it is known by more than its name. */
const FORGET = `
if redis.call('EXISTS', KEYS[3], KEYS[4]) > 0 then return 0 end
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.sub(field, 1, 5) == 'slot:' then return 0 end
end
redis.call('DEL', KEYS[2])
redis.call('SREM', KEYS[1], ARGV[1])
return 1`;

/** Resolves with whether it is forgotten now. Safe to repeat. */
export async function forgetStation(redis: Redis, keys: Keys, station: string): Promise<boolean> {
  const named = [keys.stations, keys.station(station), keys.outbox(station), keys.endedOf(station)];
  return (await redis.eval(FORGET, named.length, ...named, station)) === 1;
}
