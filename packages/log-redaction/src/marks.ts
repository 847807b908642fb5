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
  (((bytes[end - 3] as number) << 24) |
    ((bytes[end - 2] as number) << 16) |
    ((bytes[end - 1] as number) << 8) |
    (bytes[end] as number) |
    0x20202020) >>>
  0;

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

  const bitsAt = (bytes: Buffer, at: number, to: number): number => {
    let bits = 0;
    for (const { rest, bits: more } of tails.get(gramOf(bytes, at)) ?? []) {
      if (at + rest.length >= to) continue;
      let fits = 0;
      while (fits < rest.length && ((bytes[at + 1 + fits] as number) | FOLD) === rest[fits]) fits += 1;
      if (fits === rest.length) bits |= more;
    }
    return bits;
  };

  const scanHalves = (
    bytes: Buffer,
    from: number,
    middle: number,
    to: number,
    onMark: (at: number, bits: number) => void,
  ): void => {
    const look = (at: number): number => {
      const bits = bitsAt(bytes, at, to);
      if (bits !== 0) onMark(at, bits);
      return at + 1;
    };
    let low = from + GRAM - 1;
    let high = Math.max(middle, low);
    // Each step waits for the table; two halves at once wait half as long.
    while (low < middle && high < to) {
      const lowSkip = skips[((bytes[low - 1] as number) << 8) | (bytes[low] as number)] as number;
      const highSkip = skips[((bytes[high - 1] as number) << 8) | (bytes[high] as number)] as number;
      low = lowSkip > 0 ? low + lowSkip : look(low);
      high = highSkip > 0 ? high + highSkip : look(high);
    }
    for (const [begin, end] of [
      [low, middle],
      [high, to],
    ] as const) {
      for (let at = begin; at < end; ) {
        const skip = skips[((bytes[at - 1] as number) << 8) | (bytes[at] as number)] as number;
        at = skip > 0 ? at + skip : look(at);
      }
    }
  };

  return {
    scan(bytes, from, to, onMark) {
      scanHalves(bytes, from, (from + to) >> 1, to, onMark);
      if (macBits !== 0) scanMacs(bytes, from, to, (at) => onMark(at, macBits));
    },
  };
}
