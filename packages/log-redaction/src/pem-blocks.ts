/**
 * Blocks of PEM in an archive's part, over all of its windows: where other programs write between their lines, a block may reach over
 * more than what a window sees at once.
 */
import { LONGEST_PEM, WHOLE_LINE } from './finders/certificates.js';
import type { Part } from './line-memory.js';
import { createPemMemory, PEM_BEGIN, type PemBody, type PemMemory } from './pem-memory.js';
import { bodyFrom, speakerOf } from './speaker.js';

/** Blocks that have begun and not ended, each of another program. */
const MOST_BLOCKS = 100;
/** Lines of all programs without one of any block: then they are taken for ended. */
const MOST_QUIET = 4096;
/** Lines of a block are whole but for its last one; others may write single words. */
const MOST_SHORT = 16;
const NEWLINE = 0x0a;

/** A block that has begun. Where its end was cut off it is over at some time. */
interface Block {
  readonly memory: PemMemory;
  chars: number;
  shortLines: number;
}

export interface PemBlocks {
  /** Lines of blocks in the next bytes, up to `to`. Offsets are in `bytes`. */
  readonly add: (bytes: Buffer, to: number) => readonly Part[];
}

const partOf = ({ from, to, isRest }: PemBody, at: number): Part => ({
  from: from + at,
  to: to + at,
  isRest,
  rule: 'certificates',
  tag: 'certificate',
});

export function createPemBlocks(): PemBlocks {
  const open = new Map<string, Block>();
  let last = '';
  let quiet = 0;

  const blockOf = (name: string, text: string): Block | undefined => {
    const known = open.get(name);
    if (!text.includes(PEM_BEGIN)) return known;
    if (!known && open.size >= MOST_BLOCKS) return undefined;
    const block: Block = { memory: known?.memory ?? createPemMemory(false), chars: 0, shortLines: 0 };
    open.set(name, block);
    return block;
  };

  const bodyIn = (name: string, text: string): PemBody | undefined => {
    const block = blockOf(name, text);
    if (!block) return undefined;
    const body = block.memory.add(text);
    if (body) {
      block.chars += body.to - body.from;
      block.shortLines += body.to - body.from < WHOLE_LINE ? 1 : 0;
    }
    const isOver = block.chars > LONGEST_PEM || block.shortLines > MOST_SHORT || !block.memory.isOpen();
    if (isOver) open.delete(name);
    return body;
  };

  const addLine = (line: string, at: number, found: Part[]): void => {
    const speaker = speakerOf(line);
    const begin = bodyFrom(line, speaker);
    const text = line.slice(begin);
    if (speaker) last = speaker.name;
    quiet += 1;
    // Who does not say who it is may go on with what the last one wrote.
    for (const name of new Set(speaker ? [last] : ['', last])) {
      const body = bodyIn(name, text);
      if (body) found.push(partOf(body, at + begin));
      if (body || text.includes(PEM_BEGIN)) quiet = 0;
    }
    if (quiet > MOST_QUIET) open.clear();
  };

  return {
    add(bytes, to) {
      const found: Part[] = [];
      const lines = bytes.subarray(0, to);
      for (let at = 0; at < to; ) {
        if (open.size === 0) {
          const begin = lines.indexOf(PEM_BEGIN, at, 'latin1');
          if (begin === -1) break;
          at = Math.max(at, lines.lastIndexOf(NEWLINE, begin) + 1);
        }
        const newline = lines.indexOf(NEWLINE, at);
        const end = newline === -1 ? to : newline;
        addLine(lines.toString('latin1', at, end), at, found);
        at = end + 1;
      }
      return found;
    },
  };
}
