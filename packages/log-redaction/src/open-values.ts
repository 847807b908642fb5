/** Values of variables in objects that do not end in their line: the name that makes one a secret may come later, or was cut off. */
import { matchesOf, valueAt } from './finders/quoted.js';
import { freshOf } from './pseudonyms.js';

type Range = readonly [from: number, to: number];

/** Those stand in front of the name of their variable. */
const EARLY = /(?<!\\)(\\{0,31}")(?:attributeValue|actualValue)\1\s*:\s*/gi;
const ANY = /(?<!\\)(\\{0,31}")(?:attributeValue|actualValue|value)\1\s*:\s*/gi;
const TOKEN = /(?<!\\)\\*"|[{}[\]]/g;

interface Member {
  /** Where its name begins. */
  readonly at: number;
  readonly value: Range;
  /** What follows its value. */
  readonly end: number;
}

/** An object or a list that has not ended, and the values in it, also in objects within it that have. */
interface Open {
  readonly isList: boolean;
  values: Range[];
}

/** By the quotes of their names: JSON within JSON is outside of texts where its own quotes are. */
function membersOf(text: string, expression: RegExp): ReadonlyMap<string, readonly Member[]> {
  const byQuote = new Map<string, Member[]>();
  for (const match of matchesOf(expression, text)) {
    const begin = match.index + match[0].length;
    const value = valueAt(text, begin);
    if (!value) continue;
    const quote = match[1] ?? '"';
    const members = byQuote.get(quote) ?? [];
    byQuote.set(quote, members);
    members.push({ at: match.index, value, end: value[1] + (value[0] - begin) });
  }
  return byQuote;
}

/**
 * Those in objects that have not ended at the end of `text`. It may begin within one; what it has of that ends with a bracket that
 * opens nowhere in it.
 */
function notEnded(text: string, quote: string, members: readonly Member[]): readonly Range[] {
  let open: Open[] = [{ isList: true, values: [] }];
  let isInside = false;
  let next = 0;
  /** All whose names begin up to there. Returns where the last one ends. */
  const takeUpTo = (at: number): number => {
    let end = at;
    for (let member = members[next]; member && member.at <= at; next += 1, member = members[next]) {
      // A name is not within a text: what was counted so far began in the middle of one.
      if (isInside) [open, isInside] = [[{ isList: false, values: open.flatMap(({ values }) => values) }], false];
      if (open.at(-1)?.isList !== false) open.push({ isList: false, values: [] });
      open.at(-1)?.values.push(member.value);
      end = Math.max(end, member.end);
    }
    return end;
  };
  const close = (bracket: string): void => {
    const ended = open.pop()?.values ?? [];
    // A list whose beginning is not there is a member of an object: the name may still come.
    if (open.length === 0) open.push({ isList: bracket === '}' || ended.length === 0, values: [] });
    const around = open.at(-1) ?? { isList: true, values: [] };
    const [most, least] = around.values.length < ended.length ? [ended, around.values] : [around.values, ended];
    for (const value of least) most.push(value);
    around.values = most;
  };
  TOKEN.lastIndex = 0;
  for (let token = TOKEN.exec(text); token; token = TOKEN.exec(text)) {
    const [word] = token;
    const end = takeUpTo(token.index);
    if (end > token.index) TOKEN.lastIndex = end;
    else if (word.endsWith('"')) isInside = word.length === quote.length ? !isInside : isInside;
    else if (isInside) continue;
    else if (word === '{' || word === '[') open.push({ isList: word === '[', values: [] });
    else close(word);
  }
  takeUpTo(text.length);
  return open.flatMap(({ isList, values }) => (isList ? [] : values));
}

const none: readonly Range[] = [];

function valuesIn(text: string, expression: RegExp): readonly Range[] {
  const found: Range[] = [];
  for (const [quote, members] of membersOf(text, expression))
    found.push(...freshOf(text, notEnded(text, quote, members)));
  return found;
}

/** Of a line that may go on in later ones: those in front of their names. */
export const openValues = (line: string): readonly Range[] =>
  /attributeValue|actualValue/i.test(line) ? valuesIn(line, EARLY) : none;

/** Of a line that was cut off: all. */
export const cutValues = (line: string): readonly Range[] => valuesIn(line, ANY);
