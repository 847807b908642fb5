/**
 * Which lines may hold something to take out: one pass over the bytes for the marks of all finders at once, by the
 * method of Wu and Manber (TR-94-17): a table tells from two bytes how many can be skipped, three for most of them.
 */

/** Shorter marks would leave less to skip. */
const GRAM = 4;
const FOLD = 0x20;

export interface Mark {
  /** At least 4 ASCII characters; capital letters and small ones are the same. */
  readonly text: string;
  /** A bit for each thing that is to be looked for where it occurs. */
  readonly bits: number;
}

interface Tail {
  /** What follows the first four, folded. */
  readonly rest: Buffer;
  readonly bits: number;
}

export interface MarkScan {
  /** Calls `onMark` for each mark that ends before `to`, with the offset of its fourth byte, in no order. */
  readonly scan: (bytes: Buffer, from: number, to: number, onMark: (at: number, bits: number) => void) => void;
}

const isHex = (byte: number): boolean =>
  (byte >= 0x30 && byte <= 0x39) || ((byte | FOLD) >= 0x61 && (byte | FOLD) <= 0x66);

/** All bytes that are the same as this one when folded. */
const spellings = (byte: number): readonly number[] => [byte | FOLD, (byte | FOLD) & ~FOLD];

/** Six pairs of hexadecimal digits from `from` on, with one and the same separator. */
function isMacAt(bytes: Buffer, from: number): boolean {
  const separator = bytes[from + 2];
  for (let at = from; at < from + 15; at += 3) {
    if (bytes[at + 2] !== separator) return false;
  }
  for (let at = from; at < from + 18; at += 3) {
    if (!isHex(bytes[at] ?? 0) || !isHex(bytes[at + 1] ?? 0)) return false;
  }
  return true;
}

/** Any three neighbours within a MAC address have a separator among them, but for its last two digits: one look in fifteen bytes. */
function scanMacs(bytes: Buffer, from: number, to: number, onMac: (at: number) => void): void {
  for (let sample = from; sample < to; sample += 15) {
    for (let at = sample; at < sample + 3; at += 1) {
      const byte = bytes[at];
      if (byte !== 0x3a && byte !== 0x2d) continue;
      // It is the first to the fifth of them.
      for (let first = at - 2; first >= Math.max(from, at - 14); first -= 3) {
        if (first + 17 <= to && isMacAt(bytes, first)) onMac(first);
      }
    }
  }
}

const gramOf = (bytes: Buffer, end: number): number =>
  ((bytes[end - 3] as number) << 24) |
  ((bytes[end - 2] as number) << 16) |
  ((bytes[end - 1] as number) << 8) |
  (bytes[end] as number) |
  0x20202020;

/** 16 bits of a gram. Fibonacci hashing (Knuth, TAOCP 6.4). */
const hashOf = (gram: number): number => Math.imul(gram, 0x9e3779b1) >>> 16;

function skipTable(grams: readonly (readonly (readonly number[])[])[]): Uint8Array {
  const skips = new Uint8Array(65_536).fill(GRAM - 1);
  for (const gram of grams) {
    for (let at = 1; at < GRAM; at += 1) {
      for (const first of gram[at - 1] ?? []) {
        for (const second of gram[at] ?? []) {
          const pair = (first << 8) | second;
          skips[pair] = Math.min(skips[pair] ?? 0, GRAM - 1 - at);
        }
      }
    }
  }
  return skips;
}

/** `macBits`: told where a MAC address is; 0: not looked for. */
export function createMarkScan(marks: readonly Mark[], macBits: number): MarkScan {
  const tails = new Map<number, Tail[]>();
  const grams: (readonly (readonly number[])[])[] = [];
  for (const { text, bits } of marks) {
    const bytes = Buffer.from(text, 'latin1');
    if (bytes.length < GRAM) throw new TypeError('a mark has at least four characters');
    const gram = gramOf(bytes, GRAM - 1);
    grams.push([...bytes.subarray(0, GRAM)].map(spellings));
    const rest = Buffer.from(bytes.subarray(GRAM).map((byte) => byte | FOLD));
    tails.set(gram, [...(tails.get(gram) ?? []), { rest, bits }]);
  }
  const skips = skipTable(grams);
  /** Of 23 places where nothing can be skipped one has a mark: what is asked there must be cheaper than a map. */
  const hashes = new Uint8Array(65_536);
  for (const gram of tails.keys()) hashes[hashOf(gram)] = 1;

  const bitsAt = (bytes: Buffer, at: number, to: number): number => {
    const gram = gramOf(bytes, at);
    if (hashes[hashOf(gram)] === 0) return 0;
    let bits = 0;
    for (const { rest, bits: more } of tails.get(gram) ?? []) {
      if (at + rest.length >= to) continue;
      let fits = 0;
      while (fits < rest.length && ((bytes[at + 1 + fits] as number) | FOLD) === rest[fits]) fits += 1;
      if (fits === rest.length) bits |= more;
    }
    return bits;
  };

  const scanMarks = (bytes: Buffer, from: number, to: number, onMark: (at: number, bits: number) => void): void => {
    const look = (at: number): number => {
      const bits = bitsAt(bytes, at, to);
      if (bits !== 0) onMark(at, bits);
      return at + 1;
    };
    const skipAt = (at: number): number => skips[((bytes[at - 1] as number) << 8) | (bytes[at] as number)] as number;
    const begin = from + GRAM - 1;
    const end1 = from + ((to - from) >> 2);
    const end2 = from + ((to - from) >> 1);
    const end3 = end1 + end2 - from;
    let at1 = begin;
    let at2 = Math.max(begin, end1);
    let at3 = Math.max(begin, end2);
    let at4 = Math.max(begin, end3);
    // Each step waits for the table; four quarters at once wait less than half as long.
    while (at1 < end1 && at2 < end2 && at3 < end3 && at4 < to) {
      const skip1 = skipAt(at1);
      const skip2 = skipAt(at2);
      const skip3 = skipAt(at3);
      const skip4 = skipAt(at4);
      at1 = skip1 > 0 ? at1 + skip1 : look(at1);
      at2 = skip2 > 0 ? at2 + skip2 : look(at2);
      at3 = skip3 > 0 ? at3 + skip3 : look(at3);
      at4 = skip4 > 0 ? at4 + skip4 : look(at4);
    }
    for (const [first, end] of [
      [at1, end1],
      [at2, end2],
      [at3, end3],
      [at4, to],
    ] as const) {
      for (let at = first; at < end; ) at = skipAt(at) > 0 ? at + skipAt(at) : look(at);
    }
  };

  return {
    scan(bytes, from, to, onMark) {
      scanMarks(bytes, from, to, onMark);
      if (macBits !== 0) scanMacs(bytes, from, to, (at) => onMark(at, macBits));
    },
  };
}
