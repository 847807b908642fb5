/** Filters as they come in a query or a body. */
import { STATION_FIELDS } from '@khumbu/filter/fields';
import { FilterError } from '@khumbu/filter/filter-error';
import { type Filter, parseFilter } from '@khumbu/filter/parse-filter';
import { OPERATION_FILTER } from '@khumbu/rest-contract/filters';
import { cursorInvalid, Problem, type ProblemError } from '../problems.js';

const FIELDS = { stations: STATION_FIELDS, operations: OPERATION_FILTER } as const;

/** Rejects with `PARAMETER_INVALID`, or with `BODY_INVALID` for a filter at `pointer` of the body. `undefined`: none. */
export function readFilter(text: string, of: keyof typeof FIELDS, pointer?: string): Filter;
export function readFilter(text: string | undefined, of: keyof typeof FIELDS, pointer?: string): Filter | undefined;
export function readFilter(text: string | undefined, of: keyof typeof FIELDS, pointer?: string): Filter | undefined {
  if (text === undefined) return undefined;
  try {
    return parseFilter(text, FIELDS[of]);
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    const { at: position, length, expected, message } = error;
    const detail = `filter, ${message}`;
    const place = pointer === undefined ? { parameter: 'filter', in: 'query' as const } : { pointer };
    const told: ProblemError = {
      detail,
      ...place,
      position,
      length,
      ...(expected.length > 0 ? { allowed: expected } : {}),
    };
    const code = pointer === undefined ? 'PARAMETER_INVALID' : 'BODY_INVALID';
    throw new Problem(code, detail, { errors: [told] }, { cause: error });
  }
}

/**
 * Milliseconds since 1970; `undefined`: no bound. Rejects with `PARAMETER_INVALID` for what has the form of a date and is none,
 * as a leap second.
 */
export function momentOfParameter(parameter: 'since' | 'until', text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const moment = Date.parse(text);
  if (!Number.isNaN(moment)) return moment;
  const detail = `${parameter} is no date that can be counted with`;
  throw new Problem('PARAMETER_INVALID', detail, { errors: [{ detail, parameter, in: 'query' }] });
}

/** Cursors of lists in an order: what they say, and in which order. Rejects with `CURSOR_INVALID` for any other. */
export const writeOrderedCursor = (sort: string, value: number | string | null, last: number | string): string =>
  Buffer.from(JSON.stringify(['sorted', sort, value, last])).toString('base64url');

function partsOfCursor(text: string): unknown[] {
  let read: unknown;
  try {
    read = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch (error) {
    throw cursorInvalid({ cause: error });
  }
  return Array.isArray(read) ? (read as unknown[]) : [];
}

/** Whether it is one of a list in an order. Rejects with `CURSOR_INVALID` for what cannot be read at all. */
export const isOrderedCursor = (text: string): boolean => partsOfCursor(text)[0] === 'sorted';

export function readOrderedCursor(text: string, sort: string): { value: unknown; last: unknown } {
  const [mark, order, value, last] = partsOfCursor(text);
  if (mark !== 'sorted' || order !== sort) throw cursorInvalid();
  return { value, last };
}
