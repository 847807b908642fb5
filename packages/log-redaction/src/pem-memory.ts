/** The lines of a block of PEM, for whoever sees one line at a time. */
import { pemBody, pemTail, wordBefore } from './finders/certificates.js';

/** Of a PEM block; whoever writes between its lines does not end it. */
export const FOREIGN_LINES = 64;
/** Of a bare line of base64 that may be of a block whose beginning was not seen. */
const BARE_CHARS = 16;
/** A checksum: no line of a block has these digits alone. */
const HEXADECIMAL = /^[0-9a-f]+$/i;
export const PEM_BEGIN = '-----BEGIN ';
const END = '-----END ';

const count = (text: string, word: string): number => text.split(word).length - 1;

export interface PemBody {
  readonly from: number;
  readonly to: number;
  /** The first one of its block was taken out before. */
  readonly isRest: boolean;
}

export interface PemMemory {
  /** The next line, and what of it is of a block. */
  readonly add: (text: string) => PemBody | undefined;
  /** Whether a block has begun and may go on. */
  readonly isOpen: () => boolean;
}

/** `beginsInside`: what came before the first line is not known; it may have begun a block. */
export function createPemMemory(beginsInside: boolean): PemMemory {
  /** Lines that a block may still have others between; 0: none has begun. */
  let patience = 0;
  /** Blocks that have begun and not ended: two programs may write theirs at the same time. */
  let depth = 0;
  let word = '';
  let isFirst = false;
  /** Lines that may still be of a block whose beginning was not seen. */
  let unseen = beginsInside ? FOREIGN_LINES : 0;

  const begin = (text: string, at: number, blocks: number): void => {
    depth = blocks;
    patience = FOREIGN_LINES;
    word = wordBefore(text, at);
    isFirst = true;
    unseen = 0;
  };

  /** Takes a line that looks like one of a block for one: the block has begun then. */
  const lookForUnseen = (text: string): void => {
    unseen -= 1;
    const [from, to] = pemTail(text, '') ?? [0, 0];
    if (to - from >= BARE_CHARS && !HEXADECIMAL.test(text.slice(from, to))) begin(text, from, 1);
  };

  const end = (): void => {
    patience = 0;
    depth = 0;
    unseen = 0;
  };

  const add = (text: string): PemBody | undefined => {
    const begins = text.lastIndexOf(PEM_BEGIN);
    const ends = count(text, END);
    if (begins !== -1) {
      const open = Math.max(0, depth + count(text, PEM_BEGIN) - ends);
      if (open > 0) begin(text, begins, open);
      // Whole in its line: what began before it may still go on.
      else [patience, depth] = [0, 0];
      return undefined;
    }
    if (unseen > 0) lookForUnseen(text);
    if (patience === 0) return undefined;
    const tail = pemBody(ends === 0 ? text : text.slice(0, text.indexOf(END)), word);
    patience = tail || ends > 0 ? FOREIGN_LINES : patience - 1;
    depth = Math.max(0, depth - ends);
    if (patience === 0 || depth === 0) end();
    if (!tail) return undefined;
    const [from, to] = tail;
    const body: PemBody = { from, to, isRest: !isFirst };
    isFirst = false;
    return body;
  };
  return { add, isOpen: () => patience > 0 };
}
