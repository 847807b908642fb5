/** What fits a filter. Pure. */
import type { Field, Operator } from './fields.js';
import type { Comparison, Filter } from './parse-filter.js';
import { compareText, compareVersions, matchesGlob, readMoment } from './values.js';

/** Of a field of type `time` milliseconds since 1970. `undefined`: it has none. */
export type Value = string | number | boolean | undefined;
export type MatchesValue = (value: Value) => boolean;

const ORDERS: Readonly<Partial<Record<Operator, (order: number) => boolean>>> = {
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

/** Whether a value is what the comparison asks for. What is absent fits `!=` alone. `now`: milliseconds since 1970. */
export function matcherOf({ operator, values }: Comparison, { type }: Field, now: number): MatchesValue {
  const [wanted = ''] = values;
  if (operator === '!=') return (value) => value === undefined || String(value) !== wanted;
  if (operator === 'in' || operator === '=') {
    const all = new Set(values);
    return (value) => value !== undefined && all.has(String(value));
  }
  if (operator === '~') return (value) => typeof value === 'string' && matchesGlob(wanted, value);
  const isInOrder = ORDERS[operator] ?? (() => false);
  if (type === 'time') {
    const moment = readMoment(wanted, now);
    return (value) => typeof value === 'number' && moment !== undefined && isInOrder(value - moment);
  }
  const compare = type === 'version' ? compareVersions : compareText;
  return (value) => typeof value === 'string' && isInOrder(compare(value, wanted));
}

/** The filter with each comparison made a question of what it is asked about. */
export function compileFilter<T>(
  filter: Filter,
  of: (comparison: Comparison) => (one: T) => boolean,
): (one: T) => boolean {
  if (filter.kind === 'comparison') return of(filter);
  if (filter.kind === 'not') {
    const part = compileFilter(filter.part, of);
    return (one) => !part(one);
  }
  const parts = filter.parts.map((part) => compileFilter(part, of));
  return filter.kind === 'and' ? (one) => parts.every((part) => part(one)) : (one) => parts.some((part) => part(one));
}
