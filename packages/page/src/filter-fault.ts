/** What is wrong with a filter, for people. Pure. */
import type { Fields } from '@khumbu/filter/fields';
import { FilterError } from '@khumbu/filter/filter-error';
import { parseFilter } from '@khumbu/filter/parse-filter';
import { en } from './texts.js';

/** `undefined`: nothing. An empty one is none. */
export function filterFault(text: string, fields: Fields): string | undefined {
  if (text.trim() === '') return undefined;
  try {
    parseFilter(text, fields);
    return undefined;
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    return en.filter.fault(error.at + 1, error.what);
  }
}
