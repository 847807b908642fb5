/** The thread behind `FollowingHash`: reads files as they grow, those of several downloads in turn. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { ImageFacts } from '@khumbu/steps/firmware-update/image-ports';
import { serveWork } from '../threads/serve-work.js';
import type { FromFollowingThread, ToFollowingThread } from './following-hash.js';
import { FactFinder } from './image-facts.js';

/** Small enough to be hashed out of the processor's cache. */
const piece = Buffer.allocUnsafe(256 * 1024);
/** Of one file, before another one has its turn. */
const TURN_BYTES = 4 * 1024 * 1024;

/** One file, by a descriptor of its own: whoever writes it may close, rename and remove it. */
class GrowingFile {
  readonly #fd: number;
  readonly #facts: FactFinder;
  #read = 0;

  constructor(path: string, withMd5: boolean) {
    this.#facts = new FactFinder(withMd5);
    this.#fd = openSync(path, 'r');
  }

  /** Read on, to `size` at most, for one turn. Returns whether that is reached. */
  readTo(size: number): boolean {
    const until = Math.min(size, this.#read + TURN_BYTES);
    while (this.#read < until) {
      const length = readSync(this.#fd, piece, 0, Math.min(piece.length, until - this.#read), this.#read);
      if (length === 0) throw Object.assign(new Error('the file is shorter than it was'), { code: 'EIO' });
      this.#facts.feed(piece.subarray(0, length));
      this.#read += length;
    }
    return this.#read === size;
  }

  /** Once. */
  facts(): ImageFacts {
    return this.#facts.facts();
  }

  close(): void {
    closeSync(this.#fd);
  }
}

serveWork<ToFollowingThread, FromFollowingThread>((post) => {
  let file: GrowingFile | undefined;
  let size = 0;
  let isWhole = false;
  let isDue = false;

  const end = (last: FromFollowingThread): void => {
    file?.close();
    file = undefined;
    post(last);
  };
  const guarded = (act: () => void): void => {
    try {
      act();
    } catch (error) {
      const { code = 'ERR_UNKNOWN', message } = error as NodeJS.ErrnoException;
      end({ kind: 'failed', code, message });
    }
  };
  const turn = (): void => {
    isDue = false;
    // It was stopped, or has failed, while this turn was due.
    if (!file) return;
    if (!file.readTo(size)) becomeDue();
    else if (isWhole) end({ kind: 'facts', facts: file.facts() });
  };
  const becomeDue = (): void => {
    if (isDue) return;
    isDue = true;
    setImmediate(() => guarded(turn));
  };

  return (message) =>
    guarded(() => {
      if (message.kind === 'follow') file = new GrowingFile(message.path, message.withMd5);
      else if (message.kind === 'stop') end({ kind: 'stopped' });
      else {
        size = message.size;
        isWhole = message.kind === 'whole';
        becomeDue();
      }
    });
});
