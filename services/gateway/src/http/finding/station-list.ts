/** Pages of stations that were chosen by a filter, in an order. */
import { STATION_FIELDS } from '@khumbu/filter/fields';
import { compileFilter, matcherOf } from '@khumbu/filter/match';
import type { Filter } from '@khumbu/filter/parse-filter';
import { compareText, compareVersions } from '@khumbu/filter/values';
import { cursorInvalid } from '../problems.js';
import { readOrderedCursor, writeOrderedCursor } from './filters.js';
import { factOf, type StationFacts } from './station-facts.js';

export type StationSort = 'stationId' | '-stationId' | 'lastSeenAt' | '-lastSeenAt' | 'version' | '-version';

export interface StationSearch {
  readonly filter?: Filter | undefined;
  readonly sort: StationSort;
  /** When it was last heard: from then on, and until before then. Milliseconds since 1970. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

type Key = string | number | null;
type Order = (a: Key, b: Key) => number;
/** What has none comes after what has one. */
const withNone =
  (compare: (a: never, b: never) => number): Order =>
  (a, b) =>
    a === null || b === null ? Number(a === null) - Number(b === null) : compare(a as never, b as never);

interface By {
  readonly key: (one: StationFacts) => Key;
  readonly order: Order;
}
const BY: Readonly<Record<string, By>> = {
  stationId: { key: ({ station }) => station, order: withNone(compareText) },
  lastSeenAt: {
    key: ({ values }) => (values.lastSeen as number | undefined) ?? null,
    order: withNone((a: number, b: number) => a - b),
  },
  version: { key: ({ values }) => (values.version as string | undefined) ?? null, order: withNone(compareVersions) },
};

/** Whether a station is one of those. Pure. `now`: milliseconds since 1970. */
export function stationMatcher(filter: Filter, now: number): (one: StationFacts) => boolean {
  return compileFilter<StationFacts>(filter, (comparison) => {
    const field = STATION_FIELDS[comparison.field as keyof typeof STATION_FIELDS];
    const matches = matcherOf(comparison, field, now);
    return (one) => matches(factOf(one, comparison));
  });
}

function isWithin({ values: { lastSeen } }: StationFacts, { since, until }: StationSearch): boolean {
  if (since === undefined && until === undefined) return true;
  if (typeof lastSeen !== 'number') return false;
  return lastSeen >= (since ?? lastSeen) && lastSeen < (until ?? Number.POSITIVE_INFINITY);
}

/** The names of a page, how many there are on all pages, and the cursor of the next one. Pure. Throws `CURSOR_INVALID`. */
export function stationPage(
  all: readonly StationFacts[],
  search: StationSearch,
  now: number,
): { readonly names: string[]; readonly total: number; readonly nextCursor?: string } {
  const { filter, sort, limit, cursor } = search;
  const isDown = sort.startsWith('-');
  const { key, order } = BY[isDown ? sort.slice(1) : sort] as By;
  const direction = isDown ? -1 : 1;
  const compare = (a: readonly [Key, string], b: readonly [Key, string]): number =>
    direction * order(a[0], b[0]) || direction * compareText(a[1], b[1]);
  const isWanted = filter ? stationMatcher(filter, now) : () => true;
  const found = all
    .filter((one) => isWithin(one, search) && isWanted(one))
    .map((one) => [key(one), one.station] as const)
    .sort(compare);
  const start = cursor === undefined ? 0 : placeAfter(found, cursor, sort, compare);
  const page = found.slice(start, start + limit);
  const last = start + limit < found.length ? page.at(-1) : undefined;
  return {
    names: page.map(([, name]) => name),
    total: found.length,
    ...(last ? { nextCursor: writeOrderedCursor(sort, ...last) } : {}),
  };
}

function placeAfter(
  found: readonly (readonly [Key, string])[],
  cursor: string,
  sort: StationSort,
  compare: (a: readonly [Key, string], b: readonly [Key, string]) => number,
): number {
  const { value, last } = readOrderedCursor(cursor, sort);
  const isKey = value === null || typeof value === (sort.endsWith('lastSeenAt') ? 'number' : 'string');
  if (!isKey || typeof last !== 'string') throw cursorInvalid();
  const at = found.findIndex((one) => compare(one, [value as Key, last]) > 0);
  return at === -1 ? found.length : at;
}
