/**
 * What a station says, as people may see it: without secrets, readable, in one line, bounded. The one way by which words of a station get into
 * an error, a check or a record. What is decided by its words is decided before, by the words as they are.
 */
import { randomBytes } from 'node:crypto';
import { createRedactor } from '@khumbu/log-redaction/redactor';
import { describeError } from '@khumbu/shared/runtime/errors';
import { readableText } from '@khumbu/shared/runtime/readable-text';
import { REDACTION_RULES, type RedactRule } from '@khumbu/shared/stations/redact-rules';

export interface StationText {
  /** `length`: in characters; default 500. Never throws, whatever it is given. */
  readonly shown: (said: Buffer | string, length?: number) => string;
  /** The same for the last line alone: what it belongs to may have begun in those before. */
  readonly lastLine: (said: Buffer | string, length?: number) => string;
  /**
   * What was put together of texts that were shown, and of our own words: by the rules by name alone, which leave alone what they have made.
   * The station's own expressions do not know where its lines ended, and would take the rest of them.
   */
  readonly again: (text: string, length?: number) => string;
  /** What an error says that may quote the station, or its server. */
  readonly error: (error: unknown, length?: number) => string;
}

type Redact = (text: string) => string;

/** Looked at at most: as much as a command may say. */
const MOST_CHARS = 64 * 1024;
/** Of which the last line is looked for: more than the station keeps of what a command says. */
const MOST_OF_END = 1024 * 1024;
const LEFT_OUT = '[left out]';
const MOST_KEPT = 100;

/** A driver of somebody else may be no TypeScript, and give anything. */
function textOf(said: unknown): string {
  if (typeof said === 'string') return said;
  if (Buffer.isBuffer(said)) return said.toString('utf8');
  if (said === undefined || said === null) return '';
  return typeof said === 'number' || typeof said === 'boolean' || typeof said === 'bigint' ? `${said}` : LEFT_OUT;
}

/** Of bytes no more than is looked at becomes a text. */
const beginOf = (said: unknown): string =>
  textOf(Buffer.isBuffer(said) ? said.subarray(0, MOST_CHARS) : said).slice(0, MOST_CHARS);

function wordsOf(error: unknown): string {
  try {
    return describeError(error);
  } catch {
    return LEFT_OUT;
  }
}

const BLANK = /[\s\p{Cc}\p{Cf}]/u;

/**
 * Whole lines, to the last one that says something: what came before may tell what it is. That one from its beginning, which is what is
 * shown of it; it may be without end.
 */
function endOf(said: unknown): string {
  const text = textOf(Buffer.isBuffer(said) ? said.subarray(-MOST_OF_END) : said).slice(-MOST_OF_END);
  let end = text.length;
  while (end > 0 && BLANK.test(text.charAt(end - 1))) end -= 1;
  const last = end === 0 ? 0 : text.lastIndexOf('\n', end - 1) + 1;
  const from = last <= MOST_CHARS ? 0 : text.indexOf('\n', last - MOST_CHARS - 1) + 1;
  return text.slice(from, Math.min(end, last + MOST_CHARS));
}

/** Between lines that are looked at as one: white space to rules, and nothing that is left in a readable line. */
const LINE_END = '\v';

/**
 * `asItCame` sees lines as they came, for rules that begin at one, and for the station's own expressions. Then `byName` sees them as one: a name
 * and its value may stand in two. Only what is left is cut, and chosen from.
 */
export function createStationText(asItCame: Redact, byName: Redact): StationText {
  const redacted = (redact: Redact, text: string): string => {
    try {
      return redact(text);
    } catch {
      // Better nothing than what nobody has looked through.
      return text === '' ? '' : LEFT_OUT;
    }
  };
  const linesOf = (text: string): readonly string[] => {
    const lines = redacted(asItCame, text).split('\n');
    const asOne = lines.map((line) => readableText(line, MOST_CHARS)).join(LINE_END);
    return redacted(byName, asOne)
      .split(LINE_END)
      .filter((line) => line !== '');
  };
  const shown = (said: unknown, length?: number): string => readableText(linesOf(beginOf(said)).join(' '), length);
  return {
    shown,
    lastLine: (said, length) => readableText(linesOf(endOf(said)).at(-1) ?? '', length),
    again: (text, length) => readableText(redacted(byName, readableText(beginOf(text), MOST_CHARS)), length),
    error: (error, length = 300) => shown(wordsOf(error), length),
  };
}

/** `mask` before everything else: rules may take a part of what it looks for. */
export const maskedText = (texts: StationText, mask: (text: string) => string): StationText => ({
  shown: (said, length) => texts.shown(mask(textOf(said)), length),
  lastLine: (said, length) => texts.lastLine(mask(textOf(said)), length),
  again: (text, length) => texts.again(mask(textOf(text)), length),
  error: (error, length = 300) => texts.shown(mask(wordsOf(error)), length),
});

const kept = new Map<string, StationText>();

function redactBy(rules: readonly RedactRule[], key: string): Redact {
  let redactor: ReturnType<typeof createRedactor> | undefined;
  return (text) => {
    redactor ??= createRedactor({ rules, key });
    return redactor.text(text);
  };
}

/** By these rules, with the depot's key of pseudonyms. What it needs is made when it is first needed, and kept for others like it. */
export function stationText(rules: readonly RedactRule[], key: string): StationText {
  const name = JSON.stringify([key, rules]);
  const known = kept.get(name);
  if (known) return known;
  if (kept.size >= MOST_KEPT) kept.clear();
  const named = rules.filter((rule) => typeof rule === 'string');
  const asItCame = redactBy(rules, key);
  const made = createStationText(asItCame, named.length === rules.length ? asItCame : redactBy(named, key));
  kept.set(name, made);
  return made;
}

/** For pseudonyms where no depot is: nobody has the key, not even the next process. */
export const KEY_OF_PROCESS = randomBytes(32).toString('base64url');

/** By the rules by name alone: where it is not known of which station the words are. */
export const plainText: StationText = stationText(REDACTION_RULES, KEY_OF_PROCESS);
