/** What a process reads of the table of operations: blocks are kept, and read anew when their mark has changed. */
import type { Redis, Result } from 'ioredis';
import type { Keys } from './keys.js';
import { COLUMNS, ROWS_A_BLOCK, SWEEP_ROWS_SCRIPT } from './operation-rows.js';
import { repliesOf } from './replies.js';

/** Blocks that are read at once: 400 kB. */
const AT_ONCE = 8;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    khumbuSweepRows(ids: string, indexPrefix: string, recordPrefix: string, ...rows: string[]): Result<number, Context>;
  }
}

/** Some rows, one after the other; of a row that is free all numbers are 0. */
export interface RowBlock {
  /** The number of its first row. */
  readonly first: number;
  readonly rows: Float64Array;
}

interface Kept extends RowBlock {
  readonly mark: string;
}

/** A copy: what a socket gave is aligned to nothing. */
function readBlock(bytes: Buffer | null): Float64Array {
  const rows = new Float64Array(ROWS_A_BLOCK * COLUMNS.length);
  if (bytes) new Uint8Array(rows.buffer).set(bytes.subarray(0, rows.byteLength));
  return rows;
}

/** Frees those of these rows whose records are gone. Resolves with how many; safe to repeat and to run twice at once. */
export async function sweepRows(
  redis: Redis,
  keys: Keys,
  rows: readonly (readonly [row: string, id: string])[],
): Promise<number> {
  if (rows.length === 0) return 0;
  redis.defineCommand('khumbuSweepRows', { lua: SWEEP_ROWS_SCRIPT, numberOfKeys: 1 });
  return redis.khumbuSweepRows(keys.rowIds, keys.index, keys.record(''), ...rows.flat());
}

export type OperationTable = ReturnType<typeof createOperationTable>;

/** `turn` is awaited between reads, so that no one waits long for the event loop. */
export function createOperationTable(redis: Redis, keys: Keys, turn: () => Promise<void>) {
  const kept = new Map<string, Kept>();

  const readSome = async (some: readonly (readonly [block: string, mark: string])[]): Promise<void> => {
    const pipeline = redis.pipeline();
    for (const [block] of some) pipeline.getBuffer(keys.rows(block));
    const found = await repliesOf<(Buffer | null)[]>(pipeline);
    for (const [at, [block, mark]] of some.entries())
      kept.set(block, { first: Number(block) * ROWS_A_BLOCK, mark, rows: readBlock(found[at] ?? null) });
  };

  return {
    /** All there are, as they are stored now. The marks come first: a block that changes meanwhile is read again next time. */
    async blocks(): Promise<readonly RowBlock[]> {
      const marks = Object.entries(await redis.hgetall(keys.rowMarks));
      const changed = marks.filter(([block, mark]) => kept.get(block)?.mark !== mark);
      for (let at = 0; at < changed.length; at += AT_ONCE) {
        await readSome(changed.slice(at, at + AT_ONCE));
        await turn();
      }
      // What was there before may be gone with a store that was emptied.
      const known = new Set(marks.map(([block]) => block));
      for (const block of kept.keys()) if (!known.has(block)) kept.delete(block);
      return [...kept.values()];
    },
    /** The ids of the operations that have these rows; `undefined`: it is free by now. */
    async ids(rows: readonly number[]): Promise<(string | undefined)[]> {
      if (rows.length === 0) return [];
      const ids = await redis.hmget(keys.rowIds, ...rows.map(String));
      return ids.map((id) => id ?? undefined);
    },
  };
}
