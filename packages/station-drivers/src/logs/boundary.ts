/**
 * What khumbu-logs.sh streams: parts, each from `LF BOUNDARY begin NUMBER HEAD LF` to `LF BOUNDARY end NUMBER WORDS LF`. No lengths:
 * a file may become shorter while it is read.
 */
import type { Readable } from 'node:stream';
import { CodedError } from '@khumbu/shared/runtime/errors';

const MAX_WORDS_BYTES = 8192;
const LF = 0x0a;

const unreadable = (): CodedError => new CodedError('LOGS_UNAVAILABLE', 'the station answers in no known form');

export interface StreamedPart {
  /** From 1: the number of what was asked for. */
  readonly number: number;
  /** What stands behind `begin` and the number; as bytes were, in Latin-1. */
  readonly head: string;
  /** Its bytes. Has to be read to its end, or returned from: then the rest is passed over. */
  readonly bytes: AsyncGenerator<Buffer, void, undefined>;
  /** What stands behind `end`, once the bytes are read; as bytes were, in Latin-1. */
  readonly words: () => string;
}

/** Reads on in a stream, up to marks. */
class Scanner {
  private held: Buffer = Buffer.alloc(0);
  private isOver = false;
  private readonly chunks: AsyncIterator<Buffer>;
  private readonly mark: Buffer;

  constructor(stream: Readable, mark: Buffer) {
    this.chunks = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
    this.mark = mark;
  }

  private async more(): Promise<boolean> {
    if (this.isOver) return false;
    const { done, value } = await this.chunks.next();
    if (done) {
      this.isOver = true;
      return false;
    }
    this.held = this.held.length === 0 ? value : Buffer.concat([this.held, value]);
    return true;
  }

  /** Bytes at the end of what is held that the mark may have begun with. Mostly none: then nothing is copied for the next ones. */
  private begun(): number {
    const { held, mark } = this;
    for (let length = Math.min(mark.length - 1, held.length); length > 0; length -= 1) {
      const at = held.length - length;
      if (held[at] === mark[0] && held.compare(mark, 0, length, at) === 0) return length;
    }
    return 0;
  }

  /** What comes before the next mark, which is passed; throws where there is none. */
  async *untilMark(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const at = this.held.indexOf(this.mark);
      if (at !== -1) {
        const before = this.held.subarray(0, at);
        this.held = this.held.subarray(at + this.mark.length);
        if (before.length > 0) yield before;
        return;
      }
      const safe = this.held.length - this.begun();
      if (safe > 0) {
        const before = this.held.subarray(0, safe);
        this.held = this.held.subarray(safe);
        yield before;
      }
      if (!(await this.more())) throw unreadable();
    }
  }

  /** The rest of a line; `undefined`: nothing is left at all. */
  async line(): Promise<string | undefined> {
    for (;;) {
      const at = this.held.indexOf(LF);
      if (at > MAX_WORDS_BYTES || (at === -1 && this.held.length > MAX_WORDS_BYTES)) throw unreadable();
      if (at !== -1) {
        const words = this.held.toString('latin1', 0, at);
        this.held = this.held.subarray(at + 1);
        return words;
      }
      if (!(await this.more())) return undefined;
    }
  }

  /** Whether something is left that can be a mark. */
  async hasMore(): Promise<boolean> {
    while (this.held.length < this.mark.length) if (!(await this.more())) return this.held.length > 0;
    return true;
  }
}

const numberIn = (words: string | undefined, word: 'begin' | 'end'): readonly [number: number, rest: string] => {
  const [, number, rest = ''] = new RegExp(`^${word} (\\d{1,9})(?: (.*))?$`, 's').exec(words ?? '') ?? [];
  if (number === undefined) throw unreadable();
  return [Number(number), rest];
};

/** Throws `LOGS_UNAVAILABLE` for what is no such stream, or ends in the middle. */
export async function* readParts(stream: Readable, boundary: string): AsyncGenerator<StreamedPart, void, undefined> {
  const scanner = new Scanner(stream, Buffer.from(`\n${boundary} `, 'latin1'));
  while (await scanner.hasMore()) {
    for await (const _between of scanner.untilMark()) throw unreadable();
    const [number, head] = numberIn(await scanner.line(), 'begin');
    let words = '';
    let isRead = false;
    const read = async function* (): AsyncGenerator<Buffer, void, undefined> {
      for await (const piece of scanner.untilMark()) yield piece;
      isRead = true;
      const [ended, rest] = numberIn(await scanner.line(), 'end');
      if (ended !== number) throw unreadable();
      words = rest;
    };
    const bytes = read();
    yield { number, head, bytes, words: () => words };
    // Whoever had enough of it has closed it: what is left of it is not theirs.
    await bytes.return();
    if (!isRead) for await (const _rest of read());
  }
}
