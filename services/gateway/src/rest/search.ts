/**
 * Pages of operations: open ones first, then ended ones, newest first in each part (by when they were asked for, and by
 * when they ended). One that ends while somebody turns the pages may be seen twice and is never left out.
 */
import { isEnded, type OperationRecord } from '@khumbu/operations/records/kinds';
import type { Origin } from '@khumbu/operations/records/record';
import type { Store } from '@khumbu/operations/records/store';
import type { Redis } from 'ioredis';
import { Problem } from './problems.js';
import type { OPERATION_KINDS } from './schemas.js';
import { isVisible, type VisibleRecord } from './views.js';

export interface Search {
  readonly station?: string;
  readonly kind?: (typeof OPERATION_KINDS)[number];
  /** `open`, `ended`, or a state. */
  readonly status?: string;
  readonly origin?: Origin;
  readonly limit?: number;
  readonly cursor?: string;
}

interface Place {
  readonly part: 'open' | 'ended';
  readonly score: number;
  readonly id: string;
}

const BATCH = 200;
/** A page that would need more looks than this ends early, with a cursor. */
const MOST_LOOKED_AT = 5000;
const DEFAULT_LIMIT = 100;

const START: Place = { part: 'open', score: Number.POSITIVE_INFINITY, id: '' };
const ENDED_START: Place = { part: 'ended', score: Number.POSITIVE_INFINITY, id: '' };

const writeCursor = ({ part, score, id }: Place): string =>
  Buffer.from(JSON.stringify([part, score === Number.POSITIVE_INFINITY ? null : score, id])).toString('base64url');

export function readCursor(text: string): Place {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch (error) {
    throw new Problem('CURSOR_INVALID', undefined, {}, { cause: error });
  }
  const [part, score, id] = Array.isArray(value) ? (value as unknown[]) : [];
  const isPlace =
    (part === 'open' || part === 'ended') && (score === null || Number.isFinite(score)) && typeof id === 'string';
  if (!isPlace) throw new Problem('CURSOR_INVALID');
  return { part, score: score === null ? Number.POSITIVE_INFINITY : (score as number), id };
}

/** Whether the record is one that was asked for. Pure. */
export function matches(record: OperationRecord, search: Search): record is VisibleRecord {
  const { station, kind, status, origin } = search;
  if (!isVisible(record)) return false;
  if (station !== undefined && record.station !== station) return false;
  if (kind !== undefined && record.kind !== kind) return false;
  if (origin !== undefined && record.origin !== origin) return false;
  if (status === undefined) return true;
  if (status === 'open' || status === 'ended') return isEnded(record) === (status === 'ended');
  return record.state === status;
}

export type SearchOperations = ReturnType<typeof createSearch>;

export function createSearch(redis: Redis, store: Store) {
  /** The next records of a part, with where each stands. Empty: there are no more. */
  const after = async (place: Place, station: string | undefined, skip: number): Promise<[string, number][]> => {
    const { keys } = store;
    const key = place.part === 'open' ? keys.open : station === undefined ? keys.ended : keys.endedOf(station);
    const max = place.score === Number.POSITIVE_INFINITY ? '+inf' : String(place.score);
    const flat = await redis.zrevrangebyscore(key, max, '-inf', 'WITHSCORES', 'LIMIT', skip, BATCH);
    const pairs: [string, number][] = [];
    for (let i = 0; i + 1 < flat.length; i += 2) pairs.push([flat[i] ?? '', Number(flat[i + 1])]);
    return pairs;
  };

  return async (search: Search): Promise<{ records: VisibleRecord[]; nextCursor?: string }> => {
    const limit = search.limit ?? DEFAULT_LIMIT;
    let place =
      search.cursor === undefined ? (search.status === 'ended' ? ENDED_START : START) : readCursor(search.cursor);
    const records: VisibleRecord[] = [];
    let looked = 0;
    while (true) {
      const { part } = place;
      const from = place;
      for (let skip = 0; ; skip += BATCH) {
        const pairs = await after(from, search.station, skip);
        const beyond = pairs.filter(([id, score]) => score < from.score || (score === from.score && id < from.id));
        const found = new Map((await store.loadMany(beyond.map(([id]) => id))).map((record) => [record.id, record]));
        for (const [id, score] of beyond) {
          const record = found.get(id);
          place = { part, score, id };
          // An ended one that keeps its slot stands in both lists; it is told of among the ended.
          if (record && isEnded(record) === (part === 'ended') && matches(record, search)) records.push(record);
          if (records.length === limit) return { records, nextCursor: writeCursor(place) };
        }
        looked += pairs.length;
        if (looked >= MOST_LOOKED_AT) return { records, nextCursor: writeCursor(place) };
        if (pairs.length < BATCH) break;
      }
      if (part === 'ended' || search.status === 'open') return { records };
      place = ENDED_START;
    }
  };
}
