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
  /** `length`: in characters; default 500. Never throws. */
  readonly shown: (said: Buffer | string, length?: number) => string;
  /** The same for the last line alone: what it belongs to may have begun in those before. */
  readonly lastLine: (said: Buffer | string, length?: number) => string;
  /** What an error says that may quote the station, or its server. */
  readonly error: (error: unknown, length?: number) => string;
}

/** As it is, but for characters: for what is compared, never for what people see. */
export const readable = readableText;

/** Looked at at most: as much as a command may say. */
const MOST_CHARS = 64 * 1024;
const LEFT_OUT = '[left out]';
const MOST_KEPT = 100;

const textOf = (said: Buffer | string): string => said.slice(0, MOST_CHARS).toString('utf8');

/** Between lines that are looked at as one: white space to rules, and nothing that is left in a readable line. */
const LINE_END = '\v';

/**
 * `redact` sees lines as they came, for rules that begin at one, and then all as one: a name and its value may stand in two. Only what is
 * left is cut, and chosen from.
 */
export function createStationText(redact: (text: string) => string): StationText {
  const redacted = (text: string): string => {
    try {
      return redact(text);
    } catch {
      // Better nothing than what nobody has looked through.
      return text === '' ? '' : LEFT_OUT;
    }
  };
  const linesOf = (said: Buffer | string): readonly string[] => {
    const lines = redacted(textOf(said)).split('\n');
    const asOne = lines.map((line) => readableText(line, MOST_CHARS)).join(LINE_END);
    return redacted(asOne)
      .split(LINE_END)
      .filter((line) => line !== '');
  };
  const shown = (said: Buffer | string, length?: number): string => readableText(linesOf(said).join(' '), length);
  return {
    shown,
    lastLine: (said, length) => readableText(linesOf(said).at(-1) ?? '', length),
    error: (error, length = 300) => shown(describeError(error), length),
  };
}

const kept = new Map<string, StationText>();

/** By these rules, with the depot's key of pseudonyms. What it needs is made when it is first needed, and kept for others like it. */
export function stationText(rules: readonly RedactRule[], key: string): StationText {
  const name = JSON.stringify([key, rules]);
  const known = kept.get(name);
  if (known) return known;
  if (kept.size >= MOST_KEPT) kept.clear();
  let redactor: ReturnType<typeof createRedactor> | undefined;
  const made = createStationText((text) => {
    redactor ??= createRedactor({ rules, key });
    return redactor.text(text);
  });
  kept.set(name, made);
  return made;
}

/** For pseudonyms where no depot is: nobody has the key, not even the next process. */
export const KEY_OF_PROCESS = randomBytes(32).toString('base64url');

/** By the rules by name alone: where it is not known of which station the words are. */
export const plainText: StationText = stationText(REDACTION_RULES, KEY_OF_PROCESS);
