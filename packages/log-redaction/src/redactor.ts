/**
 * Takes secrets out of logs. For an archive as a stream of bytes in bounded memory; for a person who looks on line by line. The
 * same bytes, rules and key give the same bytes, however the stream is cut.
 */
import type { RedactRule } from '@khumbu/shared/stations/redact-rules';
import { createSecretFinder, type Found } from './find-secrets.js';
import { createLineMemory, headFound, type LineMemory, tailFound, together } from './line-memory.js';
import { createPemBlocks } from './pem-blocks.js';
import { createPseudonyms } from './pseudonyms.js';

export interface RedactorInput {
  readonly rules: readonly RedactRule[];
  /** The depot's key of pseudonyms. */
  readonly key: string;
  /** What begins before the first line of each file and stream is not known: it is not the first one of its log. Default: it is. */
  readonly beginsInside?: boolean;
}

/** For one source: what lines have begun is known in the next ones. */
export interface Redactor {
  /**
   * One line, without its end. What only a later line would tell is taken out to be safe. `file`: which one it is of, where lines of
   * several come mixed.
   */
  readonly line: (text: string, file?: string) => string;
  /** A text that is no part of the logs, as what a program said of them, or a name: nothing goes on in it, and it goes on nowhere. */
  readonly text: (text: string) => string;
  /**
   * What it yields is good until the next piece is asked for. Line ends stay as they are. Of a source that breaks what came before
   * is there first, then its error.
   */
  readonly pass: (source: AsyncIterable<Buffer | string>) => AsyncGenerator<Buffer, void, undefined>;
  /** How many were taken out by each rule. */
  readonly counts: () => Readonly<Record<string, number>>;
}

const WINDOW_BYTES = 256 * 1024;
/** What stays for the next window, so that a secret and what tells of it are seen together. */
const HELD_BYTES = 16 * 1024;
/** Before a value: the name that makes it a secret. */
const NAME_BYTES = 512;
const NEWLINE = 0x0a;

const asBuffer = (chunk: Buffer | string): Buffer => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk);

/** The last place at which neither a line nor what belongs together is cut. */
function cutOf(bytes: Buffer, used: number, found: readonly Found[]): number {
  const limit = used - HELD_BYTES;
  let cut = bytes.lastIndexOf(NEWLINE, limit - 1) + 1 || limit;
  for (const { contextFrom, contextTo } of found.toReversed()) {
    const begins = contextFrom - NAME_BYTES;
    if (begins >= cut || contextTo <= cut) continue;
    cut = Math.min(cut, bytes.lastIndexOf(NEWLINE, contextFrom) + 1 || Math.max(0, begins));
  }
  // A group of lines, or a line, as long as a window: what was found of it is taken out, and it is cut all the same.
  return cut > 0 ? cut : used;
}

/**
 * `bytes` from 0 to `end` with what was found there replaced by these words. Into `free`, the bytes from there on, where it fits: copies within
 * one buffer cost no object each.
 */
function withWords(
  bytes: Buffer,
  end: number,
  found: readonly Found[],
  words: readonly string[],
  free = bytes.length,
): Buffer {
  if (found.length === 0) return bytes.subarray(0, end);
  let size = end;
  for (const { from, to } of found) size -= to - from;
  for (const word of words) size += word.length;
  const isWithin = free + size <= bytes.length;
  const result = isWithin ? bytes : Buffer.concat([bytes.subarray(0, end), Buffer.alloc(size)]);
  const base = isWithin ? free : end;
  let at = base;
  let done = 0;
  let n = 0;
  for (const { from, to } of found) {
    result.copyWithin(at, done, from);
    at += from - done;
    for (let word = words[n] ?? '', char = 0; char < word.length; char += 1, at += 1)
      result[at] = word.charCodeAt(char);
    done = to;
    n += 1;
  }
  result.copyWithin(at, done, end);
  return result.subarray(base, base + size);
}

export function createRedactor({ rules, key, beginsInside }: RedactorInput): Redactor {
  const finder = createSecretFinder(rules);
  const pseudonym = createPseudonyms(key);
  const counts = new Map<string, number>(finder.rules.map((rule) => [rule, 0]));
  const memory = createLineMemory(rules, { beginsInside });

  const standIn = (bytes: Buffer, { from, to, rule, tag, value, isRest }: Found): string => {
    if (isRest) return '';
    counts.set(rule, (counts.get(rule) ?? 0) + 1);
    return pseudonym(tag, value ?? bytes.toString('latin1', from, to));
  };

  const replaced = (bytes: Buffer, end: number, found: readonly Found[], free?: number): Buffer => {
    const words = found.map((each) => standIn(bytes, each));
    return withWords(bytes, end, found, words, free);
  };

  const shown = (text: string, lines: LineMemory, file?: string): string => {
    const bytes = Buffer.from(text);
    const found = lines.add(bytes.toString('latin1'), finder.find(bytes, 0, bytes.length), file);
    return found.length === 0 ? text : replaced(bytes, bytes.length, found).toString();
  };

  return {
    counts: () => Object.fromEntries(counts),
    line: (text, file) => shown(text, memory, file),
    text: (text) => shown(text, createLineMemory(rules)),
    async *pass(source) {
      const windowBytes = WINDOW_BYTES + HELD_BYTES;
      // Behind it, what comes out of it.
      const window = Buffer.allocUnsafeSlow(3 * windowBytes);
      let used = 0;
      /** The rest of a line whose secret is longer than a window. */
      let isDropping = false;
      const take = (chunk: Buffer, from: number): number => {
        if (isDropping) {
          const newline = chunk.indexOf(NEWLINE, from);
          if (newline === -1) return chunk.length - from;
          isDropping = false;
          return newline - from;
        }
        const copied = chunk.copy(window, used, from, Math.min(chunk.length, from + windowBytes - used));
        used += copied;
        return copied;
      };
      let isFirst = true;
      const blocks = rules.includes('certificates') ? createPemBlocks() : undefined;
      /** With the lines up to `end` of blocks that have begun in earlier windows. */
      const withBlocks = (found: readonly Found[], end: number): readonly Found[] =>
        together(found, blocks?.add(window, end) ?? []);
      const find = (): Found[] => {
        const found = finder.find(window, 0, used);
        const all = isFirst && beginsInside ? [...headFound(rules, window, used, found)] : found;
        isFirst = false;
        return all;
      };
      let failure: { readonly error: unknown } | undefined;
      try {
        for await (const piece of source) {
          const chunk = asBuffer(piece);
          for (let from = 0; from < chunk.length; ) {
            from += take(chunk, from);
            if (used < windowBytes) continue;
            const found = find();
            const cut = cutOf(window, used, found);
            const inWindow = found.filter((each) => each.from < cut);
            const whole = withBlocks(inWindow, cut);
            yield replaced(window, cut, whole, windowBytes);
            isDropping = (whole.at(-1)?.to ?? 0) >= used;
            window.copyWithin(0, cut, used);
            used -= cut;
          }
        }
      } catch (error) {
        failure = { error };
      }
      if (used > 0) yield replaced(window, used, withBlocks(tailFound(rules, window, used, find()), used), windowBytes);
      if (failure) throw failure.error;
    },
  };
}
