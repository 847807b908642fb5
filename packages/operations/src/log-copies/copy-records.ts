/**
 * Which archives the depot keeps, in Redis: a text for each, and sorted sets of all, of a type and of a station by when they were asked
 * for. What is on its way is noted before the first byte is in the store.
 */
import type { Redis, Result } from 'ioredis';
import type { Keys } from '../records/keys.js';
import { type BegunCopy, COPIED_LOG_TYPES, type CopiedLogType, type LogCopy } from './log-copy.js';

/** `add` is empty for one that goes. The sums follow in the same step, so that a kill leaves none wrong. */
const CHANGE_SCRIPT = `
local was = redis.call('GET', KEYS[1])
if was then
  local old = cjson.decode(was)
  redis.call('HINCRBY', KEYS[5], 'bytes:' .. old.type, string.format('%.0f', -old.bytes))
  redis.call('HINCRBY', KEYS[5], 'copies:' .. old.type, -1)
end
local id, at, kind, bytes, add = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
redis.call('HDEL', KEYS[6], id)
if add == '' then
  redis.call('DEL', KEYS[1])
  for i = 2, 4 do redis.call('ZREM', KEYS[i], id) end
  return was and 1 or 0
end
redis.call('SET', KEYS[1], add)
for i = 2, 4 do redis.call('ZADD', KEYS[i], at, id) end
redis.call('HINCRBY', KEYS[5], 'bytes:' .. kind, bytes)
redis.call('HINCRBY', KEYS[5], 'copies:' .. kind, 1)
return was and 0 or 1`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    khumbuChangeLogCopy(
      copy: string,
      all: string,
      ofType: string,
      ofStation: string,
      sums: string,
      begun: string,
      ...args: string[]
    ): Result<number, Context>;
  }
}

export interface CopySums {
  readonly copies: number;
  readonly bytes: number;
}

export interface CopyFilter {
  readonly station?: string | undefined;
  readonly type?: CopiedLogType | undefined;
  /** Milliseconds since 1970, both inclusive: when it was asked for. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

export type CopyPlace = Pick<LogCopy, 'createdAt' | 'operationId'>;

const BATCH = 200;
/** A page that would need more looks than this ends early, with a place to go on from. */
const MOST_LOOKED_AT = 5000;

const pairs = (flat: readonly string[]): CopyPlace[] =>
  flat.flatMap((id, index) => (index % 2 === 0 ? [{ operationId: id, createdAt: Number(flat[index + 1]) }] : []));

const isBeyond = (one: CopyPlace, place: CopyPlace): boolean =>
  one.createdAt < place.createdAt || (one.createdAt === place.createdAt && one.operationId < place.operationId);

export type CopyRecords = ReturnType<typeof createCopyRecords>;

export function createCopyRecords(redis: Redis, keys: Keys) {
  redis.defineCommand('khumbuChangeLogCopy', { lua: CHANGE_SCRIPT, numberOfKeys: 6 });

  const change = async (copy: LogCopy, text: string): Promise<boolean> => {
    const { operationId: id, type, station, createdAt, bytes } = copy;
    const sets = [keys.logCopies, keys.logCopiesOfType(type), keys.logCopiesOf(station)] as const;
    const sums = [keys.logCopySums, keys.logCopiesBegun] as const;
    const args = [id, String(createdAt), type, String(bytes), text];
    return (await redis.khumbuChangeLogCopy(keys.logCopy(id), ...sets, ...sums, ...args)) === 1;
  };

  const load = async (ids: readonly string[]): Promise<LogCopy[]> => {
    if (ids.length === 0) return [];
    const texts = await redis.mget(ids.map((id) => keys.logCopy(id)));
    return texts.flatMap((text) => (text === null ? [] : [JSON.parse(text) as LogCopy]));
  };

  /** The newest first. `next`: what is behind it was not looked at; absent: there is nothing more. */
  const page = async (
    filter: CopyFilter,
    limit: number,
    beyond?: CopyPlace,
  ): Promise<{ copies: readonly LogCopy[]; next?: CopyPlace }> => {
    const { station, type, since, until } = filter;
    const ofType = type === undefined ? keys.logCopies : keys.logCopiesOfType(type);
    const key = station === undefined ? ofType : keys.logCopiesOf(station);
    const found: LogCopy[] = [];
    let place: CopyPlace = beyond ?? { createdAt: Number.POSITIVE_INFINITY, operationId: '' };
    let skip = 0;
    for (let looked = 0; ; looked += BATCH) {
      if (looked >= MOST_LOOKED_AT) return { copies: found, next: place };
      const max = Math.min(place.createdAt, until ?? Number.POSITIVE_INFINITY);
      const range = [
        Number.isFinite(max) ? String(max) : '+inf',
        since === undefined ? '-inf' : String(since),
      ] as const;
      const some = pairs(await redis.zrevrangebyscore(key, ...range, 'WITHSCORES', 'LIMIT', skip, BATCH));
      const from = place;
      const more = some.filter((one) => isBeyond(one, from));
      const copies = new Map((await load(more.map(({ operationId: id }) => id))).map((one) => [one.operationId, one]));
      for (const one of more) {
        const copy = copies.get(one.operationId);
        if (!copy || (type !== undefined && copy.type !== type)) continue;
        if (found.length === limit) return { copies: found, next: place };
        found.push(copy);
        place = one;
      }
      const last = some.at(-1);
      if (!last || some.length < BATCH) return { copies: found };
      // Behind the last one and not by number: what has left the set since would let others be passed over.
      skip = last.createdAt === from.createdAt ? skip + BATCH : 0;
      place = last;
    }
  };

  return {
    page,
    async find(operationId: string): Promise<LogCopy | undefined> {
      return (await load([operationId]))[0];
    },
    /** Nothing of it is in the store yet. Safe to repeat. */
    async begin(copy: BegunCopy): Promise<void> {
      await redis.hset(keys.logCopiesBegun, copy.operationId, JSON.stringify(copy));
    },
    async begun(): Promise<BegunCopy[]> {
      return Object.values(await redis.hgetall(keys.logCopiesBegun)).map((text) => JSON.parse(text) as BegunCopy);
    },
    /** Nothing came of it. Safe to repeat. */
    async forgetBegun(operationId: string): Promise<void> {
      await redis.hdel(keys.logCopiesBegun, operationId);
    },
    /** It is in the store, whole. Safe to repeat. */
    async keep(copy: LogCopy): Promise<void> {
      await change(copy, JSON.stringify(copy));
    },
    /** It is not in the store any more; `false`: another process was quicker. Safe to repeat. */
    drop: (copy: LogCopy): Promise<boolean> => change(copy, ''),
    /** The oldest of a type, so many at most; `before`: only those that were asked for earlier. */
    async oldest(type: CopiedLogType, count: number, before?: number): Promise<LogCopy[]> {
      const max = before === undefined ? '+inf' : `(${before}`;
      return load(await redis.zrangebyscore(keys.logCopiesOfType(type), '-inf', max, 'LIMIT', 0, count));
    },
    async sums(): Promise<Record<CopiedLogType, CopySums>> {
      const found = await redis.hgetall(keys.logCopySums);
      const of = (type: CopiedLogType): CopySums => ({
        copies: Number(found[`copies:${type}`] ?? 0),
        bytes: Number(found[`bytes:${type}`] ?? 0),
      });
      return Object.fromEntries(COPIED_LOG_TYPES.map((type) => [type, of(type)])) as Record<CopiedLogType, CopySums>;
    },
  };
}
