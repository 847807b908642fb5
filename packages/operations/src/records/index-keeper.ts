/**
 * Puts into the index what a process without it has stored: records of an older version at the start, and those of older
 * processes beside this one while a depot is upgraded one by one. Safe to run in many processes at once: nothing is put
 * there but for the very version that was looked at.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { Redis, Result } from 'ioredis';
import { INDEX_FUNCTIONS, indexText } from './operation-index.js';
import { rowOf } from './operation-rows.js';
import { sweepRows } from './operation-table.js';
import type { AnyRecord } from './record.js';
import { repliesOf } from './replies.js';
import type { RecordStore } from './store.js';

const BATCH = 250;
/** How old a look may be while others may store without the index, and when none did for a while. */
const LOOK_AGAIN_MS = 1000;
const LOOK_SELDOM_MS = 30_000;
const QUIET_AFTER_MS = 300_000;
/** Everything is looked at again so often: what was stored with a clock set back stands far from the newest. */
const LOOK_AT_ALL_MS = 3600_000;

const MEND_SCRIPT = `${INDEX_FUNCTIONS}
if redis.call('HGET', KEYS[1], 'version') ~= ARGV[3] then return 0 end
put_into_index(ARGV[1], KEYS[1], ARGV[2], ARGV[3], ARGV[4], cjson.decode(ARGV[5]))
return 1`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    khumbuIndex(
      record: string,
      prefix: string,
      id: string,
      version: string,
      text: string,
      columns: string,
    ): Result<number, Context>;
  }
}

export type IndexKeeper = ReturnType<typeof createIndexKeeper>;

export function createIndexKeeper<R extends AnyRecord>(
  redis: Redis,
  store: RecordStore<R>,
  now: () => number = () => performance.now(),
) {
  redis.defineCommand('khumbuIndex', { lua: MEND_SCRIPT, numberOfKeys: 1 });
  const { keys } = store;
  let lookedAt: number | undefined;
  let lookedAtAll: number | undefined;
  let mendedAt = 0;
  let looking: Promise<void> | undefined;

  /** Resolves with how many of these were not where they belong, and are now. */
  const mend = async (ids: readonly string[]): Promise<number> => {
    const pipeline = redis.pipeline();
    for (const id of ids) pipeline.hmget(keys.record(id), 'version', 'indexed', 'row');
    const stored = await repliesOf<(string | null)[][]>(pipeline);
    const stale = ids.filter((_id, at) => {
      const [version, indexed, row] = stored[at] ?? [];
      return version !== null && (version !== indexed || row === null);
    });
    let mended = 0;
    // A record of a newer version is not among those that are loaded: it is for newer processes to find.
    for (const record of await store.loadMany(stale)) {
      const { id, version } = record;
      const text = indexText(store.rules, record);
      const row = JSON.stringify(rowOf(store.rules, record));
      mended += await redis.khumbuIndex(keys.record(id), keys.index, id, String(version), text, row);
    }
    return mended;
  };

  /** From the newest on. */
  const mendSet = async (key: string, isDone: (mended: number) => boolean): Promise<number> => {
    let mended = 0;
    for (let from = 0; ; from += BATCH) {
      const ids = await redis.zrevrange(key, String(from), String(from + BATCH - 1));
      const some = ids.length === 0 ? 0 : await mend(ids);
      mended += some;
      if (ids.length < BATCH || isDone(some)) return mended;
      await turn();
    }
  };

  /** Rows of records that a process without the table has removed. */
  const sweepAll = async (): Promise<void> => {
    for (let cursor = '0'; ; ) {
      const [next, flat] = await redis.hscan(keys.rowIds, cursor, 'COUNT', BATCH);
      const pairs: [string, string][] = [];
      for (let at = 0; at + 1 < flat.length; at += 2) pairs.push([flat[at] ?? '', flat[at + 1] ?? '']);
      await sweepRows(redis, keys, pairs);
      if (next === '0') return;
      cursor = next;
      await turn();
    }
  };

  const look = async (): Promise<void> => {
    const began = now();
    const isWhole = lookedAtAll === undefined || began - lookedAtAll > LOOK_AT_ALL_MS;
    const open = await mendSet(keys.open, () => false);
    const ended = await mendSet(keys.ended, (mended) => !isWhole && mended === 0);
    if (isWhole) {
      await sweepAll();
      lookedAtAll = began;
    }
    if (open + ended > 0 || lookedAt === undefined) mendedAt = began;
    lookedAt = began;
  };

  return {
    /** Resolves when what is stored can be found by the index: at once where that was seen to lately. */
    fresh: async (): Promise<void> => {
      const everyMs = now() - mendedAt < QUIET_AFTER_MS ? LOOK_AGAIN_MS : LOOK_SELDOM_MS;
      if (lookedAt !== undefined && now() - lookedAt < everyMs) return;
      looking ??= look().finally(() => {
        looking = undefined;
      });
      await looking;
    },
  };
}
