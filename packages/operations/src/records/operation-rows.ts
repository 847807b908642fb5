/**
 * The table of operations: a row of numbers for each one that is kept, by which any choice, order and total is found without
 * a look at its record. Rows stand in strings of `ROWS_A_BLOCK`; the script that stores a record writes its row, and the one
 * that removes it frees the row for another one. What another process stored without them is seen and mended as for the
 * sorted sets, see `index-keeper.ts`. ADR 40.
 */
import { createHash } from 'node:crypto';
import type { AnyRecord } from './record.js';
import { isEnded } from './record.js';
import type { RecordRules } from './transaction.js';

/** In this order. Dates are milliseconds since 1970; 0 is none. `ok`: 0 open, 1 yes, 2 no. The others are `numberOfWord`. */
export const COLUMNS = [
  'createdAt',
  'updatedAt',
  'endedAt',
  'ok',
  'station',
  'kind',
  'status',
  'origin',
  'askedBy',
  'reason',
  'title',
  'orderId',
] as const;
export type Column = (typeof COLUMNS)[number];
const PLACES = Object.fromEntries(COLUMNS.map((name, place) => [name, place])) as Readonly<Record<Column, number>>;
export const columnOf = (name: Column): number => PLACES[name];

export const ROWS_A_BLOCK = 512;
/** Numbers are doubles, little-endian. */
const BYTES_A_ROW = COLUMNS.length * Float64Array.BYTES_PER_ELEMENT;

/** 48 bits of its SHA-256, and never 0, which is no word: the same in every process, and no list of words has to be kept. */
export const numberOfWord = (word: string | undefined): number =>
  word === undefined ? 0 : createHash('sha256').update(word).digest().readUIntBE(0, 6) + 1;

/** The row of a record; empty: it has none, as records of the depot, and those that are used again, while they rest. Pure. */
export function rowOf<R extends AnyRecord>(rules: RecordRules<R>, record: R): number[] {
  if (!rules.isOfStation(record) || (isEnded(record) && rules.retention(record) === 'reused')) return [];
  const { station, kind, origin, askedBy, title, orderId, outcome, createdAt, updatedAt, endedAt = 0 } = record;
  const ok = endedAt === 0 ? 0 : outcome?.ok === true ? 1 : 2;
  const words = [station, kind, rules.shownStatus(record), origin, askedBy, outcome?.reason, title, orderId];
  return [createdAt, updatedAt, endedAt, ok, ...words.map(numberOfWord)];
}

/**
 * For the scripts that store, mend and remove. A block is marked with each change, by something that never comes again, so
 * that who has read it before knows.
 */
export const ROW_FUNCTIONS = `
local function write_row(prefix, row, bytes, mark)
  local block = math.floor(row / ${ROWS_A_BLOCK})
  redis.call('SETRANGE', prefix .. 'rows:' .. block, (row % ${ROWS_A_BLOCK}) * ${BYTES_A_ROW}, bytes)
  redis.call('HSET', prefix .. 'row-marks', block, mark)
end
local function free_row(prefix, row, id)
  write_row(prefix, row, string.rep('\\0', ${BYTES_A_ROW}), '-' .. id)
  redis.call('HDEL', prefix .. 'row-ids', row)
  redis.call('LPUSH', prefix .. 'row-free', row)
  if redis.call('EXISTS', prefix .. 'row-ids') == 1 then return end
  -- None is left: the table begins anew.
  for block = 0, math.floor((redis.call('GET', prefix .. 'row-count') - 1) / ${ROWS_A_BLOCK}) do
    redis.call('DEL', prefix .. 'rows:' .. block)
  end
  redis.call('DEL', prefix .. 'row-count', prefix .. 'row-free', prefix .. 'row-marks')
end
local function leave_row(prefix, key, id)
  local row = redis.call('HGET', key, 'row')
  if row and row ~= '' then free_row(prefix, row, id) end
end
local function put_row(prefix, key, id, version, columns)
  if #columns == 0 then
    leave_row(prefix, key, id)
    redis.call('HSET', key, 'row', '')
    return
  end
  local row = redis.call('HGET', key, 'row')
  if not row or row == '' then
    row = redis.call('RPOP', prefix .. 'row-free') or redis.call('INCR', prefix .. 'row-count') - 1
    redis.call('HSET', key, 'row', row)
    redis.call('HSET', prefix .. 'row-ids', row, id)
  end
  write_row(prefix, row, struct.pack('<${'d'.repeat(COLUMNS.length)}', unpack(columns)), id .. ':' .. version)
end`;

/** Frees rows whose records are gone: an older process removes records without them. `ARGV`: prefixes, then rows and ids. */
export const SWEEP_ROWS_SCRIPT = `${ROW_FUNCTIONS}
local freed = 0
for at = 3, #ARGV, 2 do
  local row, id = ARGV[at], ARGV[at + 1]
  if redis.call('EXISTS', ARGV[2] .. id) == 0 and redis.call('HGET', KEYS[1], row) == id then
    free_row(ARGV[1], row, id)
    freed = freed + 1
  end
end
return freed`;
