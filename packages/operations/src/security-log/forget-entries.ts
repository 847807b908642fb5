/**
 * Entries that are kept too long leave Redis, the oldest first. What is left is verified from the checkpoint on: the newest entry that
 * was removed. That it was removed is itself a fact of the log, so that a checkpoint that somebody made up does not agree with it.
 */
import type { Redis, Result } from 'ioredis';
import { type Keys, WHOLE_DEPOT } from '../records/keys.js';
import type { ChainPoint, SecurityEntry, SecurityFact } from './entry.js';
import { readEntries } from './read-entries.js';

const DAY_MS = 24 * 3600_000;
const BATCH = 1000;

/** KEYS: lease, checkpoint, chain, pending. ARGV: holder, sequence of the checkpoint, that of the next one, its hash, the fact, keys of streams of stations. */
const FORGET_SCRIPT = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if (redis.call('HGET', KEYS[2], 'sequence') or '0') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[2], 'sequence', ARGV[3], 'hash', ARGV[4])
local from = string.format('%.0f', ARGV[3] + 1) .. '-0'
redis.call('XTRIM', KEYS[3], 'MINID', from)
for i = 6, #ARGV do
  redis.call('XTRIM', ARGV[i], 'MINID', from)
  if redis.call('XLEN', ARGV[i]) == 0 then redis.call('DEL', ARGV[i]) end
end
redis.call('RPUSH', KEYS[4], ARGV[5])
return 1`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    khumbuForgetEntries(
      lease: string,
      checkpoint: string,
      chain: string,
      pending: string,
      ...args: string[]
    ): Result<number, Context>;
  }
}

/** `undefined`: nothing was removed yet. */
export async function readCheckpoint(redis: Redis, keys: Keys): Promise<ChainPoint | undefined> {
  const [sequence, hash] = await redis.hmget(keys.securityCheckpoint, 'sequence', 'hash');
  return sequence && hash ? { sequence: Number(sequence), hash } : undefined;
}

export interface KeepEntries {
  readonly days: number;
  readonly most: number;
}

/**
 * How many of the oldest ones go: those before the first that is young enough, and what is beyond the most. Each removal is an entry of
 * its own, so nothing goes before it is worth one: a day's entries, or a batch. Pure.
 */
export function howManyGo(
  oldest: readonly Pick<SecurityEntry, 'at'>[],
  length: number,
  { days, most }: KeepEntries,
  now: number,
): number {
  const [first] = oldest;
  if (!first) return 0;
  if (length < most + BATCH && Date.parse(first.at) >= now - (days + 1) * DAY_MS) return 0;
  const young = oldest.findIndex(({ at }) => Date.parse(at) >= now - days * DAY_MS);
  return Math.min(oldest.length, Math.max(young === -1 ? oldest.length : young, length - most));
}

/** Resolves with how many were removed. Nothing is removed where `holder` does not lead. Safe to repeat. */
export async function forgetEntries(
  redis: Redis,
  keys: Keys,
  holder: string,
  keep: KeepEntries,
  now: number,
): Promise<number> {
  redis.defineCommand('khumbuForgetEntries', { lua: FORGET_SCRIPT, numberOfKeys: 4 });
  const oldest = await readEntries(redis, keys, 0, BATCH);
  const going = oldest.slice(0, howManyGo(oldest, await redis.xlen(keys.securityChain), keep, now));
  const last = going.at(-1);
  if (!last) return 0;
  const checkpoint = await readCheckpoint(redis, keys);
  const fact: SecurityFact = {
    at: now,
    what: 'security_log_entries_removed',
    phase: 'done',
    by: { cause: 'depot', name: 'gateway' },
    details: { until: last.sequence, hash: last.hash, entries: going.length },
  };
  const stations = new Set(going.map(({ stationId = WHOLE_DEPOT }) => stationId));
  const done = await redis.khumbuForgetEntries(
    keys.lease,
    keys.securityCheckpoint,
    keys.securityChain,
    keys.securityPending,
    holder,
    String(checkpoint?.sequence ?? 0),
    String(last.sequence),
    last.hash,
    JSON.stringify(fact),
    ...[...stations].map((station) => keys.securityOf(station)),
  );
  return done === 1 ? going.length : 0;
}
