/** Text of a station for people: what they read it on may be a terminal, a log viewer, a page. Pure. */
import { describeError } from './errors.js';

/** Control characters (C0, C1), those that turn or hide text, halves of pairs, line and paragraph separators. */
const UNREADABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu;

/** No control characters, one line, bounded, well-formed. */
export const readableText = (bytes: Buffer | string, length = 500): string =>
  bytes
    .toString('utf8')
    .replace(UNREADABLE, ' ')
    .trim()
    .slice(0, length)
    // A cut may leave the first half of a pair.
    .replace(/[\uD800-\uDBFF]$/, '');

/** What an error says, of which a station's server may have chosen the words. */
export const readableError = (error: unknown): string => readableText(describeError(error), 300);
