/** `--filter`: read here as the depot reads it, so that a mistake is shown where it stands and nothing is asked. */
import type { Fields } from '@khumbu/filter/fields';
import { FilterError } from '@khumbu/filter/filter-error';
import { parseFilter } from '@khumbu/filter/parse-filter';
import type { FlagParametersForType } from '@stricli/core';
import type { CliContext } from '../context.js';
import { Failure } from '../failure.js';
import { text } from './flags.js';

export interface FilterFlags {
  readonly filter?: string;
}
export const FILTER_FLAGS: FlagParametersForType<FilterFlags, CliContext> = {
  filter: {
    kind: 'parsed',
    parse: text,
    optional: true,
    placeholder: 'filter',
    brief: 'Only what fits it, as "label.site = north and version < 2.1"',
  },
};

/** White space as one blank, so that what is below a character stays below it. */
const inOneLine = (filter: string): string => filter.replaceAll(/\s/g, ' ');

/** Throws a `Failure` that points at the first character that does not fit. */
export function checkFilter(filter: string, fields: Fields): void {
  try {
    parseFilter(filter, fields);
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    const { at, length, message } = error;
    const mark = '^'.repeat(Math.max(1, Math.min(length, filter.length - at)));
    throw new Failure(
      'usage',
      'FILTER_INVALID',
      `the filter, ${message}\n  ${inOneLine(filter)}\n  ${' '.repeat(at)}${mark}`,
    );
  }
}
