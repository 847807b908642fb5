/**
 * What one line tells of the next ones, for whoever sees each line at once. Lines of several files, or of several programs in one,
 * come mixed: each has a memory of its own, so that what one writes does not end what another has begun.
 */
import type { RedactRule } from '@khumbu/shared/stations/redact-rules';
import { disjoint, type Found } from './find-secrets.js';
import {
  createNamedValues,
  createOpenValues,
  createTokenValues,
  createUnseenValues,
  createVpnValues,
  type OpenValues,
} from './member-memory.js';
import { createPemMemory } from './pem-memory.js';
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
type Part = Pick<Found, 'from' | 'to' | 'rule' | 'tag' | 'isRest'>;
/** What one program writes to one file. */
type Strand = (text: string) => readonly Part[];

function createStrand(rules: readonly RedactRule[], { beginsInside = false, isHeadOnly }: LineMemoryOptions): Strand {
  const looks: Strand[] = [];
  const add = (rule: 'credentials' | 'rfid_tokens', tag: string, members: ReturnType<typeof createNamedValues>): void =>
    void looks.push((text) => Array.from(members(text), ([from, to]) => ({ from, to, rule, tag, isRest: false })));
  if (rules.includes('certificates')) {
    const pem = createPemMemory(beginsInside);
    looks.push((text) => {
      const body = pem(text);
      return body ? [{ ...body, rule: 'certificates', tag: 'certificate' }] : [];
    });
  }
  const hasSecrets = rules.includes('credentials');
  const hasTokens = rules.includes('rfid_tokens');
  if (hasTokens && !isHeadOnly) add('rfid_tokens', 'rfid', createTokenValues());
  if (hasSecrets && !isHeadOnly) {
    add('credentials', 'secret', createNamedValues());
    add('credentials', 'secret', createVpnValues());
  }
  if (beginsInside && (hasSecrets || hasTokens)) {
    const unseen = createUnseenValues();
    if (hasSecrets) add('credentials', 'secret', unseen);
    else add('rfid_tokens', 'rfid', unseen);
  }
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
function together(found: readonly Found[], parts: readonly Part[], at: number): readonly Found[] {
  if (parts.length === 0) return found;
  const more = parts.map((part): Found => {
    const [from, to] = [part.from + at, part.to + at];
    return { ...part, from, to, contextFrom: from, contextTo: to };
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
      const parts = keysOf(file, speaker?.name).flatMap((key) => strandOf(key)(body));
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

/** What is found in the first `used` bytes, with which a stream ends, and values there whose name would have come later. */
export function tailFound(
  rules: readonly RedactRule[],
  bytes: Buffer,
  used: number,
  found: readonly Found[],
): readonly Found[] {
  if (!rules.includes('credentials')) return found;
  const bySpeaker = new Map<string, OpenValues>();
  const begin = Math.max(0, used - TAIL_BYTES);
  for (const [text, from] of linesIn(bytes, begin === 0 ? 0 : bytes.indexOf(NEWLINE, begin) + 1, used)) {
    const speaker = speakerOf(text);
    const body = bodyFrom(text, speaker);
    const name = speaker?.name ?? '';
    const values = bySpeaker.get(name) ?? createOpenValues();
    bySpeaker.set(name, values);
    values.add(text.slice(body), from + body);
  }
  const left = [...bySpeaker.values()].flatMap((values) => values.left());
  const parts = left.map(([from, to]): Part => ({ from, to, rule: 'credentials', tag: 'secret', isRest: false }));
  return together(found, parts, 0);
}
