/**
 * Pages of operations: open ones first, then ended ones, newest first in each part (by when they were asked for, and by
 * when they ended). One that ends between two pages may be seen twice and is never left out.
 */
import {
  isOfStation,
  type OperationRecord,
  type StationKind,
  type StationRecord,
  shownStatus,
} from '@khumbu/operations/kinds/kinds';
import type { Store } from '@khumbu/operations/kinds/store';
import type { IndexKeeper } from '@khumbu/operations/records/index-keeper';
import { type Facets, keysOfFacets, type Part } from '@khumbu/operations/records/operation-index';
import { isEnded, type Origin } from '@khumbu/operations/records/record';
import { repliesOf } from '@khumbu/operations/records/replies';
import type { Redis } from 'ioredis';
import type { EventLoopTurn } from './event-loop-turn.js';
import { cursorInvalid } from './problems.js';

export interface Search {
  readonly station?: string;
  readonly kind?: StationKind;
  /** `open`, `ended`, or a state. */
  readonly status?: string;
  readonly origin?: Origin;
  readonly limit?: number;
  readonly cursor?: string;
}

interface Place {
  readonly part: Part;
  readonly score: number;
  readonly id: string;
}

/** Ids that are looked up at once, and records that are read at once: each is a turn of the event loop. */
const BATCH = 200;
const SOME = 25;
/** A page that would need more looks than this ends early, with a cursor. */
const MOST_LOOKED_AT = 5000;
const DEFAULT_LIMIT = 100;

const START: Place = { part: 'open', score: Number.POSITIVE_INFINITY, id: '' };
const ENDED_START: Place = { part: 'ended', score: Number.POSITIVE_INFINITY, id: '' };

const writeCursor = ({ part, score, id }: Place): string =>
  Buffer.from(JSON.stringify([part, score === Number.POSITIVE_INFINITY ? null : score, id])).toString('base64url');

function readCursor(text: string): Place {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch (error) {
    throw cursorInvalid({ cause: error });
  }
  const [part, score, id] = Array.isArray(value) ? (value as unknown[]) : [];
  const isPlace =
    (part === 'open' || part === 'ended') && (score === null || Number.isFinite(score)) && typeof id === 'string';
  if (!isPlace) throw cursorInvalid();
  return { part, score: score === null ? Number.POSITIVE_INFINITY : (score as number), id };
}

/** Whether the record is one that was asked for. Pure. */
function matches(record: OperationRecord, search: Search): record is StationRecord {
  const { station, kind, status, origin } = search;
  if (!isOfStation(record)) return false;
  if (station !== undefined && record.station !== station) return false;
  if (kind !== undefined && record.kind !== kind) return false;
  if (origin !== undefined && record.origin !== origin) return false;
  if (status === undefined) return true;
  if (status === 'open' || status === 'ended') return isEnded(record) === (status === 'ended');
  return shownStatus(record) === status;
}

export function createSearch(redis: Redis, store: Store, { fresh }: IndexKeeper, eventLoopTurn: EventLoopTurn) {
  const { keys } = store;

  /** The smallest of the sets whose intersection is wanted, and the others. */
  const plan = async (part: Part, facets: Facets): Promise<{ smallest: string; others: string[] }> => {
    const all = keysOfFacets(keys, part, facets);
    const pipeline = redis.pipeline();
    for (const key of all) pipeline.zcard(key);
    const sizes = await repliesOf<number[]>(pipeline);
    const smallest = all[sizes.indexOf(Math.min(...sizes))] ?? '';
    return { smallest, others: all.filter((key) => key !== smallest) };
  };

  /** The next ids of a set, with where each stands. */
  const after = async (key: string, { score }: Place, skip: number): Promise<[string, number][]> => {
    const max = score === Number.POSITIVE_INFINITY ? '+inf' : String(score);
    const flat = await redis.zrevrangebyscore(key, max, '-inf', 'WITHSCORES', 'LIMIT', skip, BATCH);
    const pairs: [string, number][] = [];
    for (let i = 0; i + 1 < flat.length; i += 2) pairs.push([flat[i] ?? '', Number(flat[i + 1])]);
    return pairs;
  };

  /** Those of the ids that are in all of these sets. */
  const inAll = async (others: readonly string[], ids: readonly string[]): Promise<ReadonlySet<string>> => {
    if (others.length === 0 || ids.length === 0) return new Set(ids);
    const pipeline = redis.pipeline();
    for (const key of others) pipeline.zmscore(key, ...ids);
    const scores = await repliesOf<(string | null)[][]>(pipeline);
    return new Set(ids.filter((_id, at) => scores.every((list) => list[at] !== null)));
  };

  /** The records, in the order of their ids; what is gone is taken out of the set that still names it. */
  const load = async (key: string, ids: readonly string[]): Promise<Map<string, OperationRecord>> => {
    const found = new Map((await store.loadMany(ids)).map((record) => [record.id, record]));
    const missing = ids.filter((id) => !found.has(id));
    if (missing.length > 0 && key.startsWith(keys.index)) {
      const there = await Promise.all(missing.map((id) => redis.exists(keys.record(id))));
      const gone = missing.filter((_id, at) => there[at] === 0);
      if (gone.length > 0) await redis.zrem(key, ...gone);
    }
    await eventLoopTurn();
    return found;
  };

  return async (search: Search): Promise<{ records: StationRecord[]; nextCursor?: string }> => {
    const limit = search.limit ?? DEFAULT_LIMIT;
    const { station, kind, status, origin } = search;
    const state = status === 'open' || status === 'ended' ? undefined : status;
    let place = search.cursor === undefined ? (status === 'ended' ? ENDED_START : START) : readCursor(search.cursor);
    const records: StationRecord[] = [];
    let looked = 0;
    await fresh();
    while (true) {
      const { part } = place;
      let from = place;
      const { smallest, others } = await plan(part, { station, kind, state, origin });
      for (let skip = 0; ; ) {
        const pairs = await after(smallest, from, skip);
        const beyond = pairs.filter(([id, score]) => score < from.score || (score === from.score && id < from.id));
        const ids = beyond.map(([id]) => id);
        const wanted = await inAll(others, ids);
        for (let at = 0; at < beyond.length; at += SOME) {
          const some = beyond.slice(at, at + SOME);
          const found = await load(
            smallest,
            some.map(([id]) => id).filter((id) => wanted.has(id)),
          );
          for (const [id, score] of some) {
            const record = found.get(id);
            place = { part, score, id };
            // It may have moved on since the sets were looked at.
            if (record && isEnded(record) === (part === 'ended') && matches(record, search)) records.push(record);
            if (records.length === limit) return { records, nextCursor: writeCursor(place) };
          }
        }
        looked += pairs.length;
        if (looked >= MOST_LOOKED_AT) return { records, nextCursor: writeCursor(place) };
        const [lastId, lastScore] = pairs.at(-1) ?? ['', 0];
        if (pairs.length < BATCH) break;
        // Behind the last one seen and not by number: what has left the set since would let others be passed over.
        if (lastScore === from.score) skip += BATCH;
        else [from, skip] = [{ part, score: lastScore, id: lastId }, 0];
        await eventLoopTurn();
      }
      if (part === 'ended' || status === 'open') return { records };
      place = ENDED_START;
    }
  };
}
