/** How the security log is read: all of it, or some by station and date. */
import type { Redis } from 'ioredis';
import { type Keys, WHOLE_DEPOT } from '../records/keys.js';
import { repliesOf } from '../records/replies.js';
import type { SecurityEntry } from './entry.js';

type StreamEntry = [id: string, fields: string[]];

const BATCH = 500;
/** How many are looked at for one page. */
const LOOKED_AT = 5000;

const sequenceOf = ([id]: StreamEntry): number => Number(id.slice(0, id.indexOf('-')));
const entryOf = ([, [, text = '']]: StreamEntry): SecurityEntry => JSON.parse(text) as SecurityEntry;

/** In their order, those after this sequence. */
export async function readEntries(redis: Redis, keys: Keys, after: number, count: number): Promise<SecurityEntry[]> {
  const found = await redis.xrange(keys.securityChain, `${after + 1}-0`, '+', 'COUNT', count);
  return found.map(entryOf);
}

async function* inBatches(
  batchAfter: (sequence: number) => Promise<readonly SecurityEntry[]>,
): AsyncGenerator<SecurityEntry> {
  for (let after = 0; ; ) {
    const some = await batchAfter(after);
    yield* some;
    const last = some.at(-1);
    if (!last) return;
    after = last.sequence;
  }
}

/** All of them in their order, or those of a station; what is chained meanwhile too. */
export const allEntries = (redis: Redis, keys: Keys, station?: string): AsyncGenerator<SecurityEntry> =>
  inBatches(async (after) =>
    station === undefined
      ? readEntries(redis, keys, after, BATCH)
      : entriesAt(redis, keys, await sequencesOf(redis, keys, station, after)),
  );

/** Those of a station, and those of the whole depot, as a change of keys is one: in their order. */
export const entriesConcerning = (redis: Redis, keys: Keys, station: string): AsyncGenerator<SecurityEntry> =>
  inBatches(async (after) => {
    const both = [station, WHOLE_DEPOT].map((each) => sequencesOf(redis, keys, each, after));
    const oldest = (await Promise.all(both)).flat().toSorted((a, b) => a - b);
    return entriesAt(redis, keys, oldest.slice(0, BATCH));
  });

const sequencesOf = async (redis: Redis, keys: Keys, station: string, after: number): Promise<number[]> =>
  (await redis.xrange(keys.securityOf(station), `${after + 1}-0`, '+', 'COUNT', BATCH)).map(sequenceOf);

/** Those that are still there. */
async function entriesAt(redis: Redis, keys: Keys, sequences: readonly number[]): Promise<SecurityEntry[]> {
  if (sequences.length === 0) return [];
  const pipeline = redis.pipeline();
  for (const sequence of sequences) pipeline.xrange(keys.securityChain, `${sequence}-0`, `${sequence}-0`);
  return (await repliesOf<StreamEntry[][]>(pipeline)).flat().map(entryOf);
}

export interface EntryFilter {
  readonly station?: string | undefined;
  readonly what?: string | undefined;
  /** Milliseconds since 1970, both inclusive. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

/** Pure. */
export const matches = ({ what, since, until }: EntryFilter, entry: SecurityEntry): boolean => {
  const at = Date.parse(entry.at);
  return (
    (what === undefined || entry.what === what) &&
    (since === undefined || at >= since) &&
    (until === undefined || at <= until)
  );
};

export interface EntryPage {
  readonly entries: readonly SecurityEntry[];
  /** What is older than this was not looked at; absent: there is nothing older. */
  readonly before?: number;
}

/** The newest ones before a sequence that match, newest first. A page may be short, or empty, and not be the last. */
export async function readPage(
  redis: Redis,
  keys: Keys,
  filter: EntryFilter,
  limit: number,
  before: number | undefined,
): Promise<EntryPage> {
  const { station } = filter;
  const stream = station === undefined ? keys.securityChain : keys.securityOf(station);
  const found: SecurityEntry[] = [];
  let next = before;
  for (let looked = 0; looked < LOOKED_AT && next !== 1; ) {
    const newest = next === undefined ? '+' : `${next - 1}-0`;
    const some = (await redis.xrevrange(stream, newest, '-', 'COUNT', BATCH)) as StreamEntry[];
    const sequences = some.map(sequenceOf);
    const entries = station === undefined ? some.map(entryOf) : await entriesAt(redis, keys, sequences);
    for (const entry of entries) {
      if (!matches(filter, entry)) continue;
      if (found.length === limit) return { entries: found, before: (found.at(-1) as SecurityEntry).sequence };
      found.push(entry);
    }
    const last = sequences.at(-1);
    if (last === undefined || some.length < BATCH) return { entries: found };
    next = last;
    looked += some.length;
  }
  return { entries: found, ...(next === undefined || next === 1 ? {} : { before: next }) };
}
