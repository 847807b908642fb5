/**
 * Values in JSON, also in JSON that is a text within JSON (`\"key\":\"value\"`), in Python's spelling, and in text that was cut:
 * logs have all of them, so nothing is parsed as a whole.
 */

import type { Line, Secret } from '../finder.js';

const NONE: readonly never[] = [];

function* matchesFrom(first: RegExpExecArray, expression: RegExp, text: string): Generator<RegExpExecArray> {
  let match: RegExpExecArray | null = first;
  while (match) {
    const end = match.index + Math.max(1, match[0].length);
    yield match;
    // Another text may have been looked at in between.
    expression.lastIndex = end;
    match = expression.exec(text);
  }
}

/**
 * All matches of a global expression; without the copy of it that `matchAll` makes each time. Most lines have none, and that costs no
 * object.
 */
export function matchesOf(expression: RegExp, text: string): Iterable<RegExpExecArray> {
  expression.lastIndex = 0;
  const first = expression.exec(text);
  return first ? matchesFrom(first, expression, text) : NONE;
}

/** A quote with the backslashes before it: what ends a text is what began it. */
const QUOTE = /\\*["']/y;
const BARE = /[^\s"',;}\]<>\\]+/y;
const NOT_SECRET = /^(?:null|true|false|none|[{[].*)$/i;

/** Where a text ends that began with `quote`; the end of `text` if it was cut. */
function endOfQuoted(text: string, from: number, quote: string): number {
  const mark = quote.at(-1) ?? '"';
  for (let at = text.indexOf(mark, from); at !== -1; at = text.indexOf(mark, at + 1)) {
    let slashes = 0;
    while (at - slashes - 1 >= from && text[at - slashes - 1] === '\\') slashes += 1;
    if (slashes === quote.length - 1) return at - slashes;
  }
  return text.length;
}

/** The value that begins at `at`: a text without its quotes, or a bare word. `undefined`: none, or an object. */
export function valueAt(text: string, at: number): readonly [from: number, to: number] | undefined {
  QUOTE.lastIndex = at;
  const quote = QUOTE.exec(text)?.[0];
  if (quote !== undefined) {
    const from = at + quote.length;
    const to = endOfQuoted(text, from, quote);
    return to > from ? [from, to] : undefined;
  }
  BARE.lastIndex = at;
  const word = BARE.exec(text)?.[0];
  return word === undefined || NOT_SECRET.test(word) ? undefined : [at, at + word.length];
}

/** The values of members whose names fit: `keys` is a source of a regular expression. */
export function memberValues(keys: string): (text: string) => Iterable<readonly [from: number, to: number]> {
  const member = new RegExp(`(?<!\\\\)(\\\\{0,31}["'])(?:${keys})\\1\\s*:\\s*`, 'gi');
  function* behind(text: string, matches: Iterable<RegExpExecArray>) {
    for (const match of matches) {
      const value = valueAt(text, match.index + match[0].length);
      if (value) yield value;
    }
  }
  return (text) => {
    const matches = matchesOf(member, text);
    return matches === NONE ? NONE : behind(text, matches);
  };
}

/** As many as a message of OCPP has at most on either side of a name. */
const REACH = 8192;

/** Steps over `text` from a place outside of quotes; tells each bracket outside of texts that `quote` begins and ends. */
function walk(
  text: string,
  from: number,
  step: 1 | -1,
  quote: string,
  onBracket: (char: string, at: number) => boolean,
) {
  let isInside = false;
  for (let at = from; at >= 0 && at < text.length; at += step) {
    const char = text[at] ?? '';
    if (char === '"') {
      let slashes = 0;
      while (text[at - slashes - 1] === '\\') slashes += 1;
      if (slashes === quote.length - 1) isInside = !isInside;
    } else if (!isInside && '{}[]'.includes(char) && onBracket(char, at)) return;
  }
}

/** The object that begins at `open`, to its end or that of the text. */
function objectEnd(text: string, open: number, quote: string): number {
  let depth = 0;
  let end = text.length;
  walk(text, open, 1, quote, (char, at) => {
    depth += char === '{' || char === '[' ? 1 : -1;
    if (depth === 0) end = at + 1;
    return depth === 0;
  });
  return end;
}

/** The brace that opens the object around `at`; `undefined`: an array is around it, or nothing within reach. */
function objectAround(text: string, at: number, quote: string): number | undefined {
  let depth = 0;
  let open: number | undefined;
  walk(text, at, -1, quote, (char, place) => {
    if (char === '}' || char === ']') depth += 1;
    else if (depth > 0) depth -= 1;
    else {
      if (char === '{') open = place;
      return true;
    }
    return false;
  });
  return open;
}

type Ranges = (text: string) => Iterable<readonly [from: number, to: number]>;

interface Members {
  readonly values: readonly (readonly [from: number, to: number])[];
  /** The object that holds them. */
  readonly object: readonly [from: number, to: number];
}

/** Objects within objects of one list entry: `{"variable":{"name":...},"variableAttribute":[{"value":...}]}`. */
const LEVELS = 3;

type Around = (from: number, to: number) => string | undefined;

/** The values of the object that holds the name at `at`, which stands between quotes as `quote`. */
function valuesBeside(around: Around, at: number, quote: string, values: Ranges): Members | undefined {
  const base = Math.max(0, at - REACH);
  const text = around(base, at + REACH);
  if (text === undefined) return undefined;
  let place = at - base - 1;
  for (let level = 0; level < LEVELS; level += 1) {
    const open = objectAround(text, place, quote);
    if (open === undefined) return undefined;
    const end = objectEnd(text, open, quote);
    const found = [...values(text.slice(open, end))].map(
      ([from, to]) => [base + open + from, base + open + to] as const,
    );
    if (found.length > 0) return { values: found, object: [base + open, base + end] };
    place = open - 1;
  }
  return undefined;
}

/** The values within the object that begins at `at`, behind its name. */
function valuesWithin(around: Around, at: number, quote: string, values: Ranges): Members | undefined {
  const text = around(at, at + REACH);
  const open = text?.search(/\S/) ?? -1;
  if (text === undefined || text[open] !== '{') return undefined;
  const end = objectEnd(text, open, quote);
  const found = [...values(text.slice(open, end))].map(([from, to]) => [at + open + from, at + open + to] as const);
  return { values: found, object: [at, at + end] };
}

/** Names in one line that are looked around of; a message has a few. Where there are more, all values of the line are secrets. */
const MOST_NAMES = 200;

/**
 * Values that are secrets because of another member: `beside` finds names within an object (`"key":"AuthorizationKey"`), else the
 * name of the object itself (`"vpn":`); the quote is its first group. Lines do not matter: OCPP logs of EVerest have a
 * member a line, and other programs may write between them.
 */
export function memberSecrets(line: Line, name: RegExp, values: Ranges, isBeside: boolean): Iterable<Secret> {
  const matches = matchesOf(name, line.text);
  return matches === NONE ? NONE : secretsBy(line, matches, values, isBeside);
}

function* secretsBy(
  line: Line,
  matches: Iterable<RegExpExecArray>,
  values: Ranges,
  isBeside: boolean,
): Generator<Secret> {
  let names = 0;
  const looks: readonly Around[] = [(from, to) => line.around(from, to), (from, to) => line.alone(from, to)];
  for (const match of matches) {
    names += 1;
    if (names > MOST_NAMES) {
      for (const [from, to] of values(line.text)) yield { from: line.at + from, to: line.at + to };
      return;
    }
    const quote = match[1] ?? '"';
    const at = line.at + match.index;
    for (const around of looks) {
      const found = isBeside
        ? valuesBeside(around, at, quote, values)
        : valuesWithin(around, at + match[0].length, quote, values);
      if (!found) continue;
      const [first, last] = found.object;
      for (const [from, to] of found.values) yield { from, to, context: [Math.min(first, at), last] };
      // Nobody else can have written into it.
      if (first >= line.at && last <= line.at + line.text.length) break;
    }
  }
}

/** The members that hold the value of a variable or of a configuration key. */
export const variableValues = memberValues('attributeValue|actualValue|value');
