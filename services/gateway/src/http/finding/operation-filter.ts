/** A filter of operations as a question about rows of the table of operations. Pure. */
import { compileFilter, matcherOf } from '@khumbu/filter/match';
import type { Comparison, Filter } from '@khumbu/filter/parse-filter';
import { type Column, columnOf, numberOfWord } from '@khumbu/operations/records/operation-rows';
import { OPERATION_FILTER } from '@khumbu/rest-contract/filters';
import { factOf, type StationFacts } from './station-facts.js';

/** Rows, one after the other, and where the row in question begins. */
export type MatchesRow = (rows: Float64Array, at: number) => boolean;

const STATION_ATTRIBUTES: ReadonlySet<string> = new Set([
  'type',
  'label',
  'version',
  'state',
  'lastSeen',
  'dialect',
  'driver',
]);

/** It asks for what is known of stations, and not of the operation. */
export const asksStations = ({ field }: Comparison): boolean => STATION_ATTRIBUTES.has(field);
/** It compares names of stations otherwise than as wholes. */
export const asksNames = ({ field, operator }: Comparison): boolean =>
  field === 'station' && !['=', '!=', 'in'].includes(operator);

interface Row {
  readonly rows: Float64Array;
  readonly at: number;
}

export interface FilterContext {
  /** Every word that can stand in the column and has to be looked at by itself. */
  readonly stationNames: readonly string[];
  readonly facts: readonly StationFacts[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

const fieldOf = ({ field }: Comparison) => OPERATION_FILTER[field as keyof typeof OPERATION_FILTER];

/** The number of a row in a column: where that stands is looked up once, and not for each row. */
const numberIn = (column: Column): ((row: Row) => number) => {
  const place = columnOf(column);
  return ({ rows, at }) => rows[at + place] ?? 0;
};
const [statusOf, endedAtOf, okOf, stationOf] = [
  numberIn('status'),
  numberIn('endedAt'),
  numberIn('ok'),
  numberIn('station'),
];

function byWord(comparison: Comparison, column: Column, words: readonly string[], now: number): (row: Row) => boolean {
  const { operator, values } = comparison;
  const isWhole = operator === '=' || operator === '!=' || operator === 'in';
  const matches = matcherOf(comparison, fieldOf(comparison), now);
  const wanted = new Set((isWhole ? values : words.filter(matches)).map(numberOfWord));
  const numberOf = numberIn(column);
  const [only] = wanted;
  if (operator === '=' && only !== undefined) return (row) => numberOf(row) === only;
  return operator === '!=' ? (row) => !wanted.has(numberOf(row)) : (row) => wanted.has(numberOf(row));
}

/** `open` and `ended` stand beside the statuses. */
function byStatus(comparison: Comparison, now: number): (row: Row) => boolean {
  const { operator } = comparison;
  const known = OPERATION_FILTER.status.values;
  const words = known.filter((word) => word !== 'open' && word !== 'ended');
  const matches = matcherOf(
    { ...comparison, ...(operator === '!=' ? { operator: '=' } : {}) },
    fieldOf(comparison),
    now,
  );
  const wanted = new Set(words.filter(matches).map(numberOfWord));
  const [open, ended] = [matches('open'), matches('ended')];
  const isOne = (row: Row): boolean => wanted.has(statusOf(row)) || (endedAtOf(row) === 0 ? open : ended);
  return operator === '!=' ? (row) => !isOne(row) : isOne;
}

function byTime(comparison: Comparison, column: Column, now: number): (row: Row) => boolean {
  const matches = matcherOf(comparison, fieldOf(comparison), now);
  const momentOf = numberIn(column);
  return (row) => {
    const moment = momentOf(row);
    return matches(moment === 0 ? undefined : moment);
  };
}

function byStation(comparison: Comparison, facts: readonly StationFacts[], now: number): (row: Row) => boolean {
  const matches = matcherOf(comparison, fieldOf(comparison), now);
  const isOfUnknown = matches(undefined);
  // Of a station that is in no list any more nothing is known.
  const others = facts.filter((one) => matches(factOf(one, comparison)) !== isOfUnknown);
  const numbers = new Set(others.map(({ station }) => numberOfWord(station)));
  return (row) => numbers.has(stationOf(row)) !== isOfUnknown;
}

function compileOne(comparison: Comparison, { stationNames, facts, now }: FilterContext): (row: Row) => boolean {
  const { field } = comparison;
  if (asksStations(comparison)) return byStation(comparison, facts, now);
  switch (field) {
    case 'status':
      return byStatus(comparison, now);
    case 'createdAt':
    case 'updatedAt':
    case 'endedAt':
      return byTime(comparison, field, now);
    case 'ok': {
      const matches = matcherOf(comparison, fieldOf(comparison), now);
      const told = [undefined, true, false].map(matches);
      return (row) => told[okOf(row)] ?? false;
    }
    case 'station':
      return byWord(comparison, 'station', stationNames, now);
    default: {
      const words: readonly string[] = (fieldOf(comparison) as { values?: readonly string[] }).values ?? [];
      return byWord(comparison, field as Column, words, now);
    }
  }
}

export function compileOperationFilter(filter: Filter, context: FilterContext): MatchesRow {
  // One for all rows: there may be a hundred thousand.
  const row: { rows: Float64Array; at: number } = { rows: new Float64Array(), at: 0 };
  const matches = compileFilter<Row>(filter, (comparison) => compileOne(comparison, context));
  return (rows, at) => {
    row.rows = rows;
    row.at = at;
    return matches(row);
  };
}
