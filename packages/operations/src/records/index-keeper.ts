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
import type { RecordStore } from './store.js';

const BATCH = 250;
/** How old a look may be while others may store without the index, and when none did for a while. */
const LOOK_AGAIN_MS = 1000;
const LOOK_SELDOM_MS = 30_000;
const QUIET_AFTER_MS = 300_000;
/** Everything is looked at again so often: what was stored with a clock set back stands far from the newest. */
const LOOK_AT_ALL_MS = 3600_000;
/** A process that does so by itself this often keeps all who ask from waiting for it. */
export const LOOK_AHEAD_MS = LOOK_AT_ALL_MS / 2;

/** Which of the ids in `ARGV`, behind the prefix of records, are to be mended; and how many of them have a row. */
const STALE_SCRIPT = `
local rows, stale = 0, {}
for at = 2, #ARGV do
  local found = redis.call('HMGET', ARGV[1] .. ARGV[at], 'version', 'indexed', 'row')
  if found[3] and found[3] ~= '' then rows = rows + 1 end
  if found[1] and (found[1] ~= found[2] or not found[3]) then stale[#stale + 1] = ARGV[at] end
end
return { rows, stale }`;

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
    khumbuStale(recordPrefix: string, ...ids: string[]): Result<[rows: number, stale: string[]], Context>;
  }
}

/** Of some ids: how many were not where they belong, and are now, and how many had a row before. */
interface Looked {
  readonly mended: number;
  readonly rows: number;
}

export type IndexKeeper = ReturnType<typeof createIndexKeeper>;

export function createIndexKeeper<R extends AnyRecord>(
  redis: Redis,
  store: RecordStore<R>,
  now: () => number = () => performance.now(),
) {
  redis.defineCommand('khumbuIndex', { lua: MEND_SCRIPT, numberOfKeys: 1 });
  redis.defineCommand('khumbuStale', { lua: STALE_SCRIPT, numberOfKeys: 0 });
  const { keys } = store;
  let lookedAt: number | undefined;
  let lookedAtAll: number | undefined;
  let mendedAt = 0;
  let looking: Promise<void> | undefined;
  let lookingAtAll: Promise<void> | undefined;

  const mend = async (ids: readonly string[]): Promise<Looked> => {
    const [rows, stale] = await redis.khumbuStale(keys.record(''), ...ids);
    let mended = 0;
    // A record of a newer version is not among those that are loaded: it is for newer processes to find.
    for (const record of await store.loadMany(stale)) {
      const { id, version } = record;
      const text = indexText(store.rules, record);
      const row = JSON.stringify(rowOf(store.rules, record));
      mended += await redis.khumbuIndex(keys.record(id), keys.index, id, String(version), text, row);
    }
    return { mended, rows };
  };

  /** From the newest on; `isWhole`: to the end, and not only as far as something is to be mended. */
  const mendSet = async (key: string, isWhole: boolean): Promise<Looked> => {
    let [mended, rows] = [0, 0];
    for (let from = 0; ; from += BATCH) {
      const ids = await redis.zrevrange(key, String(from), String(from + BATCH - 1));
      const some = ids.length === 0 ? { mended: 0, rows: 0 } : await mend(ids);
      mended += some.mended;
      rows += some.rows;
      if (ids.length < BATCH || (!isWhole && some.mended === 0)) return { mended, rows };
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

  const look = async (isWhole: boolean): Promise<void> => {
    const began = now();
    const open = await mendSet(keys.open, true);
    const ended = await mendSet(keys.ended, isWhole);
    const mended = open.mended + ended.mended;
    if (isWhole) {
      // As many rows as records that have one: none is left of a record that is gone.
      if (mended > 0 || open.rows + ended.rows !== (await redis.hlen(keys.rowIds))) await sweepAll();
      lookedAtAll = began;
    }
    if (mended > 0 || lookedAt === undefined) mendedAt = began;
    lookedAt = began;
  };

  const lookAtAll = (): Promise<void> => {
    lookingAtAll ??= look(true).finally(() => {
      lookingAtAll = undefined;
    });
    return lookingAtAll;
  };

  return {
    /** All that is stored is looked at, now. While one looks again, who asks for `fresh` does not wait for it. */
    lookAtAll,
    /** Resolves when what is stored can be found by the index: at once where that was seen to lately. */
    fresh: async (): Promise<void> => {
      if (lookedAtAll === undefined || now() - lookedAtAll > LOOK_AT_ALL_MS) return lookAtAll();
      const everyMs = now() - mendedAt < QUIET_AFTER_MS ? LOOK_AGAIN_MS : LOOK_SELDOM_MS;
      if (lookedAt !== undefined && now() - lookedAt < everyMs) return;
      looking ??= look(false).finally(() => {
        looking = undefined;
      });
      await looking;
    },
  };
}
