/**
 * Pages of operations that were chosen by a filter, in an order, with how many there are: from the table of operations.
 * What has changed between the table and its record is left out of the page and counted.
 */
import { comparisonsOf, type Filter } from '@khumbu/filter/parse-filter';
import type { StationRecord } from '@khumbu/operations/kinds/kinds';
import { isOfStation } from '@khumbu/operations/kinds/kinds';
import type { Store } from '@khumbu/operations/kinds/store';
import type { IndexKeeper } from '@khumbu/operations/records/index-keeper';
import {
  COLUMNS,
  type Column,
  columnOf,
  numberOfWord,
  ROWS_A_BLOCK,
  rowOf,
} from '@khumbu/operations/records/operation-rows';
import { createOperationTable, sweepRows } from '@khumbu/operations/records/operation-table';
import type { Redis } from 'ioredis';
import type { EventLoopTurn } from '../event-loop-turn.js';
import { cursorInvalid } from '../problems.js';
import type { Search } from '../search.js';
import { readOrderedCursor, writeOrderedCursor } from './filters.js';
import { comparePlaces, createFirstOf, type Placed } from './first-of.js';
import { asksNames, asksStations, compileOperationFilter, type MatchesRow } from './operation-filter.js';
import type { ReadStationFacts } from './station-facts.js';

export type OperationSort = 'createdAt' | '-createdAt' | 'updatedAt' | '-updatedAt';

export interface OperationSearch extends Search {
  readonly filter?: Filter | undefined;
  /** Absent: open ones first, then ended ones, the newest first in each part. */
  readonly sort?: OperationSort | undefined;
  /** When they were asked for: from then on, and until before then. Milliseconds since 1970. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

/** Rows that are looked at in one turn of the event loop: less than a millisecond. */
const BLOCKS_A_TURN = 8;
const SOME = 25;
const DEFAULT_LIMIT = 100;
/** Later than any date, so that open ones stand before ended ones. */
const OPEN = 1e15;
/** The name of the order where none is asked for. */
const STANDARD = 'standard';

const [CREATED, ENDED, STATUS] = [columnOf('createdAt'), columnOf('endedAt'), columnOf('status')];

const at = (rows: Float64Array, row: number, column: number): number => rows[row + column] ?? 0;
const isFree = (rows: Float64Array, row: number): boolean => at(rows, row, STATUS) === 0;
/** The newest, or what has ended last, comes first. */
const isNewestFirst = (sort: OperationSort | undefined): boolean => sort === undefined || sort.startsWith('-');

/** What has a higher one comes first. */
function keyOf(sort: OperationSort | undefined): (rows: Float64Array, row: number) => number {
  if (sort === undefined)
    return (rows, row) => {
      const ended = at(rows, row, ENDED);
      return ended === 0 ? OPEN + at(rows, row, CREATED) : ended;
    };
  const column = columnOf(sort.endsWith('createdAt') ? 'createdAt' : 'updatedAt');
  const sign = isNewestFirst(sort) ? 1 : -1;
  return (rows, row) => sign * (rows[row + column] ?? 0);
}

/** Whether a row is within the parameters beside the filter; nothing is asked of it but what they say. */
function withinParameters({ station, kind, status, origin, since, until }: OperationSearch): MatchesRow {
  const isPart = status === 'open' || status === 'ended';
  const isWindow = since !== undefined || until !== undefined;
  const words = Object.entries({ station, kind, origin, ...(isPart ? {} : { status }) } as const)
    .filter(([, word]) => word !== undefined)
    .map(([column, word]) => [columnOf(column as Column), numberOfWord(word)] as const);
  return (rows, row) => {
    if (isPart && (at(rows, row, ENDED) === 0) !== (status === 'open')) return false;
    if (isWindow) {
      const created = at(rows, row, CREATED);
      if (created < (since ?? created) || created >= (until ?? Number.POSITIVE_INFINITY)) return false;
    }
    for (const [column, number] of words) if (rows[row + column] !== number) return false;
    return true;
  };
}

function readPlace(cursor: string, sort: string): Placed {
  const { value, last } = readOrderedCursor(cursor, sort);
  if (typeof value !== 'number' || typeof last !== 'number') throw cursorInvalid();
  return { key: value, row: last };
}

export interface OperationListDeps {
  readonly redis: Redis;
  readonly store: Store;
  readonly keeper: IndexKeeper;
  readonly facts: ReadStationFacts;
  readonly now: () => number;
  readonly eventLoopTurn: EventLoopTurn;
}

export interface OperationPage {
  readonly records: StationRecord[];
  readonly total: number;
  readonly nextCursor?: string;
}

export function createOperationList({ redis, store, keeper, facts, now, eventLoopTurn }: OperationListDeps) {
  const { keys } = store;
  const table = createOperationTable(redis, keys, eventLoopTurn);

  const compile = async (filter: Filter): Promise<MatchesRow> => {
    const comparisons = comparisonsOf(filter);
    const needsNames = comparisons.some(asksNames);
    const known = needsNames || comparisons.some(asksStations) ? await facts() : [];
    // Stations that are in no list any more, but still have operations.
    const others = needsNames ? await redis.smembers(keys.endedStations) : [];
    const stationNames = [...new Set([...known.map(({ station }) => station), ...others])];
    return compileOperationFilter(filter, { stationNames, facts: known, now: now() });
  };

  const look = async (
    matches: MatchesRow,
    sort: OperationSort | undefined,
    after: Placed | undefined,
    limit: number,
  ) => {
    // Rows are taken in the order in which operations come: from the right end on nearly all others stand behind the page.
    const isBackwards = isNewestFirst(sort);
    const blocks = (await table.blocks()).toSorted((a, b) => (isBackwards ? b.first - a.first : a.first - b.first));
    const key = keyOf(sort);
    const found = createFirstOf(limit + 1);
    let total = 0;
    for (const [index, { first, rows }] of blocks.entries()) {
      if (index % BLOCKS_A_TURN === BLOCKS_A_TURN - 1) await eventLoopTurn();
      for (let n = 0; n < ROWS_A_BLOCK; n++) {
        const row = isBackwards ? ROWS_A_BLOCK - 1 - n : n;
        const begin = row * COLUMNS.length;
        if (isFree(rows, begin) || !matches(rows, begin)) continue;
        total += 1;
        const place = { key: key(rows, begin), row: first + row };
        if (after === undefined || comparePlaces(after, place) < 0) found.add(place.key, place.row);
      }
    }
    return { places: found.first(), total };
  };

  /** The records of rows, as far as they still are what was asked for. */
  const load = async (places: readonly Placed[], matches: MatchesRow): Promise<StationRecord[]> => {
    const ids = await table.ids(places.map(({ row }) => row));
    const named = places.flatMap(({ row }, index) => {
      const id = ids[index];
      return id === undefined ? [] : [[String(row), id] as const];
    });
    const records: StationRecord[] = [];
    for (let from = 0; from < named.length; from += SOME) {
      const some = named.slice(from, from + SOME);
      const found = new Map((await store.loadMany(some.map(([, id]) => id))).map((record) => [record.id, record]));
      // An older process has removed them, and left the rows; one of a newer version is there, and stays.
      await sweepRows(
        redis,
        keys,
        some.filter(([, id]) => !found.has(id)),
      );
      for (const [, id] of some) {
        const record = found.get(id);
        const isWanted = record && matches(Float64Array.from(rowOf(store.rules, record)), 0);
        if (isWanted && isOfStation(record)) records.push(record);
      }
      await eventLoopTurn();
    }
    return records;
  };

  return async (search: OperationSearch): Promise<OperationPage> => {
    const { filter, sort, cursor, limit = DEFAULT_LIMIT } = search;
    const after = cursor === undefined ? undefined : readPlace(cursor, sort ?? STANDARD);
    await keeper.fresh();
    const isWithin = withinParameters(search);
    const fits = filter && (await compile(filter));
    const matches: MatchesRow = fits ? (rows, row) => isWithin(rows, row) && fits(rows, row) : isWithin;
    const { places, total } = await look(matches, sort, after, limit);
    const page = places.slice(0, limit);
    const last = places.length > limit ? page.at(-1) : undefined;
    const records = await load(page, matches);
    return {
      records,
      total,
      ...(last ? { nextCursor: writeOrderedCursor(sort ?? STANDARD, last.key, last.row) } : {}),
    };
  };
}
