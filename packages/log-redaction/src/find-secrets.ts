/** All secrets among some lines. */
import {
  type OwnRedactionRule,
  REDACTION_RULES,
  type RedactionRule,
  type RedactRule,
} from '@khumbu/shared/stations/redact-rules';
import type { Finder, Line, Secret } from './finder.js';
import { certificates } from './finders/certificates.js';
import { credentials } from './finders/credentials.js';
import { exiMessages } from './finders/exi-messages.js';
import { macAddresses } from './finders/mac-addresses.js';
import { rfidTokens } from './finders/rfid-tokens.js';
import { createMarkScan } from './marks.js';
import { createOwnFinder } from './own-rules.js';
import { freshRanges } from './pseudonyms.js';
import { linesBy, speakerOf } from './speaker.js';

const FINDERS: Readonly<Record<RedactionRule, Finder>> = {
  rfid_tokens: rfidTokens,
  mac_addresses: macAddresses,
  credentials,
  certificates,
  exi_messages: exiMessages,
};

/** Something to take out of `bytes`, and by which rule. */
export interface Found {
  from: number;
  to: number;
  readonly rule: string;
  readonly tag: string;
  readonly value?: string | undefined;
  readonly isRest: boolean;
  /** Where what makes it a secret begins, and where that and the secret end. */
  contextFrom: number;
  contextTo: number;
}

export interface SecretFinder {
  /** Names of all rules that are looked for. */
  readonly rules: readonly string[];
  /** In order, none over another. `to`: the end of a line, or of all there is. */
  readonly find: (bytes: Buffer, from: number, to: number) => Found[];
}

const NEWLINE = 0x0a;
const [COLON, CLOSING] = [0x3a, 0x5d];
/** Beside a secret: as much as a pseudonym has at most. */
const MARGIN = 45;
/** From the colon of a pseudonym to its end. */
const DIGITS = 11;

/** Whether a pseudonym may be in these bytes, or begin or end there. Most have none, and are asked for no text. */
function mayHavePseudonym(bytes: Buffer, from: number, to: number): boolean {
  const end = Math.min(bytes.length, to + MARGIN);
  for (let at = from; at < end; at += 1) if (bytes[at] === CLOSING && bytes[at - DIGITS] === COLON) return true;
  return false;
}

/** What is left of a secret without pseudonyms, as in a log that was fetched from another depot. */
function freshIn(bytes: Buffer, from: number, to: number): readonly (readonly [from: number, to: number])[] {
  const base = Math.max(0, from - MARGIN);
  const ranges = freshRanges(bytes.toString('latin1', base, to + MARGIN), from - base, to - base);
  return ranges.map(([first, last]) => [first + base, last + base] as const);
}

/** Bytes `at` to `to` of `bytes`, which has others around it up to `end`. Of each marked line there is one: it has no functions of its own. */
class LineWithin implements Line {
  readonly text: string;

  constructor(
    private readonly bytes: Buffer,
    readonly at: number,
    private readonly to: number,
    private readonly end: number,
  ) {
    this.text = bytes.toString('latin1', at, to);
  }

  around(from: number, to: number): string {
    return this.bytes.toString('latin1', Math.max(0, from), Math.min(this.end, to));
  }

  alone(from: number, to: number): string | undefined {
    const speaker = speakerOf(this.text);
    if (!speaker) return undefined;
    // Before its first line end stands what began before it.
    const isWhole = from <= 0 || this.bytes[from - 1] === NEWLINE;
    const isOwnStart = isWhole ? undefined : from > this.at && from <= this.to;
    return linesBy(speaker.name, this.around(from, to), isOwnStart);
  }
}

const isOwn = (rule: RedactRule): rule is OwnRedactionRule => typeof rule !== 'string';

/** In order; where two overlap the first one, or of those that begin together the longest, takes both. */
export function disjoint(found: Found[]): Found[] {
  found.sort((a, b) => a.from - b.from || b.to - a.to);
  const result: Found[] = [];
  for (const next of found) {
    const last = result.at(-1);
    if (!last || next.from >= last.to) {
      result.push(next);
      continue;
    }
    last.to = Math.max(last.to, next.to);
    last.contextFrom = Math.min(last.contextFrom, next.contextFrom);
    last.contextTo = Math.max(last.contextTo, next.contextTo);
  }
  return result;
}

export function createSecretFinder(rules: readonly RedactRule[]): SecretFinder {
  const finders = REDACTION_RULES.filter((name) => rules.includes(name)).map((name) => FINDERS[name]);
  const own = rules.filter(isOwn).map(createOwnFinder);
  const marks = finders.flatMap((finder, index) => finder.marks.map((text) => ({ text, bits: 1 << index })));
  const macBits = finders.reduce((bits, finder, index) => bits | (finder.isMacLike ? 1 << index : 0), 0);
  const { scan } = createMarkScan(marks, macBits);

  const add = (bytes: Buffer, found: Found[], rule: string, tag: string, secret: Secret): void => {
    const { from, to, value, isRest = false, context } = secret;
    if (to <= from) return;
    const contextFrom = context ? Math.min(from, context[0]) : from;
    const contextTo = context ? Math.max(to, context[1]) : to;
    if (!mayHavePseudonym(bytes, from, to)) {
      found.push({ from, to, rule, tag, value, isRest, contextFrom, contextTo });
      return;
    }
    for (const [first, last] of freshIn(bytes, from, to)) {
      const ofAll = first === from && last === to ? value : undefined;
      found.push({ from: first, to: last, rule, tag, value: ofAll, isRest, contextFrom, contextTo });
    }
  };

  type OnSecret = (secret: Secret) => void;
  const inLine = (line: Line, bits: number, onSecret: readonly OnSecret[]): void => {
    for (let index = 0; index < finders.length; index += 1)
      if ((bits & (1 << index)) !== 0) finders[index]?.find(line, onSecret[index] as OnSecret);
  };

  const eachLine = (bytes: Buffer, from: number, to: number, onLine: (from: number, to: number) => void): void => {
    for (let at = from; at < to; ) {
      const newline = bytes.indexOf(NEWLINE, at);
      const lineEnd = newline === -1 || newline > to ? to : newline;
      onLine(at, lineEnd);
      at = lineEnd + 1;
    }
  };

  return {
    rules: [...finders.map(({ rule }) => rule), ...own.map(({ name }) => name)],
    find(bytes, from, to) {
      const found: Found[] = [];
      const marked = new Map<number, { readonly lineTo: number; bits: number }>();
      let lineFrom = -1;
      let lineTo = -1;
      scan(bytes, from, to, (at, bits) => {
        if (at >= lineTo || at < lineFrom) {
          lineFrom = Math.max(from, bytes.lastIndexOf(NEWLINE, at) + 1);
          const newline = bytes.indexOf(NEWLINE, at);
          lineTo = newline === -1 || newline > to ? to : newline;
        }
        const known = marked.get(lineFrom);
        if (known) known.bits |= bits;
        else marked.set(lineFrom, { lineTo, bits });
      });
      const onSecret = finders.map(
        ({ rule, tag }) =>
          (secret: Secret): void =>
            add(bytes, found, rule, tag, secret),
      );
      for (const [first, { lineTo: last, bits }] of marked)
        inLine(new LineWithin(bytes, first, last, to), bits, onSecret);
      for (const { name, find } of own) {
        eachLine(bytes, from, to, (first, last) => {
          for (const secret of find(bytes, first, last)) add(bytes, found, name, name, secret);
        });
      }
      return disjoint(found);
    },
  };
}
