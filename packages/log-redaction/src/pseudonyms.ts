/** What stands in place of a secret: the same for the same value all over a depot, and without its key no way back. */
import { hash } from 'node:crypto';
import { matchesOf } from './finders/quoted.js';

/** 40 bits: among 10,000 cards two have the same one in five of 100,000 depots. */
const DIGITS = 10;
const REMEMBERED = 4096;
/** Tokens and passwords come again, and are short; of longer values thousands would be as large as the log. */
const LONGEST_REMEMBERED = 256;

/** As it stands in a log. */
export const PSEUDONYM = /^\[[\w-]+:[0-9a-f]{10}\]$/;
/** The name of an own rule has 32 characters at most. */
const WITHIN = /\[[\w-]{1,32}:[0-9a-f]{10}\]/g;
const LONGEST = 45;

type Range = readonly [from: number, to: number];

function* words(text: string, from: number, to: number): Generator<Range> {
  const part = text.slice(from, to);
  const begin = from + part.length - part.trimStart().length;
  const end = begin + part.trim().length;
  if (end > begin) yield [begin, end];
}

/**
 * What of `from` to `to` is to be taken out of a text that may have passed before: pseudonyms stay, and what begins with one, or within one, has been
 * taken out. Otherwise a second pass would make pseudonyms of pseudonyms.
 */
export function freshRanges(text: string, from: number, to: number): readonly Range[] {
  if (to <= from) return [];
  const base = Math.max(0, from - LONGEST);
  const near = text.slice(base, to + LONGEST);
  const ranges: Range[] = [];
  let at = from;
  for (const match of matchesOf(WITHIN, near)) {
    const begin = base + match.index;
    const end = begin + match[0].length;
    if (end <= from) continue;
    if (begin >= to) break;
    if (begin <= from) return [];
    ranges.push(...words(text, at, begin));
    at = Math.min(end, to);
  }
  if (at === from) return [[from, to]];
  ranges.push(...words(text, at, to));
  return ranges;
}

/** The same for all of some ranges. */
export const freshOf = (text: string, ranges: Iterable<Range>): readonly Range[] =>
  Array.from(ranges).flatMap(([from, to]) => freshRanges(text, from, to));

/** A slice keeps all of the text in memory that it was cut out of; a copy does not. */
const copyOf = (text: string): string => Buffer.from(text, 'utf16le').toString('utf16le');

/**
 * `key` is a secret of the depot, 32 bytes at least: a card has four bytes, so a hash without key is undone by trying all of them.
 * A prefix is as good as HMAC here, because what is shown is cut and nothing can be computed from it.
 */
export function createPseudonyms(key: string): (tag: string, value: string) => string {
  if (key.length < 32) throw new TypeError('a key for pseudonyms has at least 32 characters');
  const known = new Map<string, string>();
  return (tag, value) => {
    const before = known.get(value);
    if (before !== undefined) return `[${tag}:${before}]`;
    const digits = hash('sha256', `${key} ${value}`, 'hex').slice(0, DIGITS);
    if (value.length <= LONGEST_REMEMBERED) {
      if (known.size >= REMEMBERED) known.clear();
      known.set(copyOf(value), digits);
    }
    return `[${tag}:${digits}]`;
  };
}
