/**
 * What one line tells of the next ones, for whoever sees each line at once. Lines of several files, or of several programs in one,
 * come mixed: each has a memory of its own, so that what one writes does not end what another has begun.
 */
import type { RedactRule } from '@khumbu/shared/stations/redact-rules';
import { disjoint, type Found } from './find-secrets.js';
import { cutUserinfo, openUserinfo } from './finders/credentials.js';
import {
  createNamedValues,
  createOpenValues,
  createTokenValues,
  createUnseenValues,
  createVpnValues,
  type Members,
  type OpenValues,
  SECRET_NAME,
  TOKEN_NAME,
  VEHICLE_NAME,
} from './member-memory.js';
import { cutValues, openValues } from './open-values.js';
import { createPemMemory } from './pem-memory.js';
import { freshOf, freshRanges } from './pseudonyms.js';
import { bodyFrom, speakerOf } from './speaker.js';

/** Files and programs that are remembered at once; of those not heard for the longest time it is forgotten what they have begun. */
const MOST_STRANDS = 1000;

export interface LineMemoryOptions {
  /** What came before the first line is not known: it may have begun a block of PEM, or a message. */
  readonly beginsInside?: boolean | undefined;
  /** Only what began before the first line is looked for: whoever asks sees the rest as a whole. */
  readonly isHeadOnly?: boolean;
}

/** Taken out of a text. */
export type Part = Pick<Found, 'from' | 'to' | 'rule' | 'tag' | 'isRest'>;
/** What one program writes to one file. */
type Strand = (text: string) => readonly Part[];

type ValueRule = readonly [rule: 'credentials' | 'rfid_tokens' | 'mac_addresses', tag: string];
const VALUE_RULES: readonly ValueRule[] = [
  ['credentials', 'secret'],
  ['rfid_tokens', 'rfid'],
  ['mac_addresses', 'mac'],
];
/** By which a value is taken out whose name is not known: each of them has names that make one a secret. */
const valueRule = (rules: readonly RedactRule[]): ValueRule | undefined =>
  VALUE_RULES.find(([rule]) => rules.includes(rule));

function createStrand(rules: readonly RedactRule[], { beginsInside = false, isHeadOnly }: LineMemoryOptions): Strand {
  const looks: Strand[] = [];
  const add = (rule: ValueRule[0], tag: string, members: Members): void =>
    void looks.push((text) => Array.from(members(text), ([from, to]) => ({ from, to, rule, tag, isRest: false })));
  if (rules.includes('certificates')) {
    const pem = createPemMemory(beginsInside);
    looks.push((text) => {
      const body = pem.add(text);
      return body ? [{ ...body, rule: 'certificates', tag: 'certificate' }] : [];
    });
  }
  const hasSecrets = rules.includes('credentials');
  const hasTokens = rules.includes('rfid_tokens');
  const values = valueRule(rules);
  if (values && !isHeadOnly) add(...values, openValues);
  if (hasTokens && !isHeadOnly) {
    add('rfid_tokens', 'rfid', createTokenValues());
    add('rfid_tokens', 'rfid', createNamedValues(TOKEN_NAME));
  }
  if (rules.includes('mac_addresses') && !isHeadOnly) add('mac_addresses', 'mac', createNamedValues(VEHICLE_NAME));
  if (hasSecrets && !isHeadOnly) {
    add('credentials', 'secret', createNamedValues(SECRET_NAME));
    add('credentials', 'secret', createVpnValues());
    add('credentials', 'secret', openUserinfo);
  }
  if (beginsInside && values) add(...values, createUnseenValues(hasSecrets));
  return (text) => looks.flatMap((look) => look(text));
}

export interface LineMemory {
  /**
   * What is taken out of a line in which `found` was found. `file`: which one the line is of, where lines of several come mixed.
   */
  add(text: string, found: readonly Found[], file?: string): readonly Found[];
}

const NEWLINE = 0x0a;

/**
 * Those and more, in order; of two that overlap everything goes: the shorter one may be what an own rule found within a line of a key.
 */
export function together(found: readonly Found[], parts: readonly Part[], at = 0): readonly Found[] {
  if (parts.length === 0) return found;
  const more = parts.map(({ from, to, rule, tag, isRest }): Found => {
    const [contextFrom, contextTo] = [from + at, to + at];
    return { from: contextFrom, to: contextTo, rule, tag, value: undefined, isRest, contextFrom, contextTo };
  });
  return disjoint([...found, ...more]);
}

export function createLineMemory(rules: readonly RedactRule[], options: LineMemoryOptions = {}): LineMemory {
  const strands = new Map<string, Strand>();
  /** Who wrote last, by file. A line that does not say who wrote it may go on with what they wrote. */
  const last = new Map<string, string>();

  const strandOf = (key: string): Strand => {
    const strand = strands.get(key) ?? createStrand(rules, options);
    strands.delete(key);
    strands.set(key, strand);
    for (const oldest of strands.keys()) {
      if (strands.size <= MOST_STRANDS) break;
      strands.delete(oldest);
    }
    return strand;
  };

  const keysOf = (file: string, name: string | undefined): readonly string[] => {
    if (name === undefined) {
      const before = last.get(file);
      return before === undefined ? [`${file}\n`] : [`${file}\n`, `${file}\n${before}`];
    }
    if (last.size >= MOST_STRANDS && !last.has(file)) last.clear();
    last.set(file, name);
    return [`${file}\n${name}`];
  };

  return {
    add(text, found, file = '') {
      const speaker = speakerOf(text);
      const from = bodyFrom(text, speaker);
      const body = text.slice(from);
      const parts = keysOf(file, speaker?.name)
        .flatMap((key) => strandOf(key)(body))
        .flatMap((part) =>
          freshRanges(body, part.from, part.to).map(([first, to]): Part => ({ ...part, from: first, to })),
        );
      return together(found, parts, from);
    },
  };
}

/** Without their ends, and where they begin. */
function* linesIn(bytes: Buffer, begin: number, used: number): Generator<readonly [text: string, from: number]> {
  for (let from = begin; from < used; ) {
    const newline = bytes.indexOf(NEWLINE, from);
    const to = newline === -1 || newline > used ? used : newline;
    yield [bytes.toString('latin1', from, to), from];
    from = to + 1;
  }
}

/** What is found in the first `used` bytes of a stream, and what lines there go on with that began before it. */
export function headFound(
  rules: readonly RedactRule[],
  bytes: Buffer,
  used: number,
  found: readonly Found[],
): readonly Found[] {
  const memory = createLineMemory(rules, { beginsInside: true, isHeadOnly: true });
  const parts: Part[] = [];
  for (const [text, from] of linesIn(bytes, 0, used))
    for (const part of memory.add(text, [])) parts.push({ ...part, from: part.from + from, to: part.to + from });
  return together(found, parts, 0);
}

/** As far back as a message may have begun that the end has cut off. */
const TAIL_BYTES = 16 * 1024;

/** Where the first line begins that is looked at of the end of a stream: the last one is, as long as it may be. */
function tailFrom(bytes: Buffer, used: number): number {
  const begin = Math.max(0, used - TAIL_BYTES);
  const last = bytes.lastIndexOf(NEWLINE, used - 1) + 1;
  return begin === 0 ? 0 : last <= begin ? last : bytes.indexOf(NEWLINE, begin) + 1;
}

/**
 * What is found in the first `used` bytes, with which a stream ends; values there whose name would have come later; and what is cut
 * off in the last line, if that has no end.
 */
export function tailFound(
  rules: readonly RedactRule[],
  bytes: Buffer,
  used: number,
  found: readonly Found[],
): readonly Found[] {
  const values = valueRule(rules);
  if (!values) return found;
  const bySpeaker = new Map<string, OpenValues>();
  const parts: Part[] = [];
  const add = ([rule, tag]: ValueRule, ranges: ReturnType<Members>, at: number): void => {
    for (const [from, to] of ranges) parts.push({ from: from + at, to: to + at, rule, tag, isRest: false });
  };
  for (const [text, from] of linesIn(bytes, tailFrom(bytes, used), used)) {
    const speaker = speakerOf(text);
    const begin = bodyFrom(text, speaker);
    const body = text.slice(begin);
    const name = speaker?.name ?? '';
    const open = bySpeaker.get(name) ?? createOpenValues();
    bySpeaker.set(name, open);
    open.add(body, from + begin);
    if (from + text.length < used) continue;
    add(values, cutValues(body), from + begin);
    if (rules.includes('credentials')) add(['credentials', 'secret'], freshOf(body, cutUserinfo(body)), from + begin);
  }
  for (const open of bySpeaker.values()) add(values, open.left(), 0);
  return together(found, parts, 0);
}
