/**
 * Facts of an image by a thread that follows its file: what was written is read again, out of the page cache, and hashed a
 * little behind, so that network and disk do not wait for the hash. The files of all downloads have one such thread: it hashes
 * faster than lines bring. Reading a file needs no buffers that go from thread to thread, which cost more than the hash.
 */
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { ImageFacts } from '@khumbu/steps/firmware-update/image-ports';
import { createSharedThreads, type Thread } from '../threads/threads.js';

export type ToFollowingThread =
  | { readonly kind: 'follow'; readonly path: string; readonly withMd5: boolean }
  /** So many bytes are in the file; with `whole` these are all. */
  | { readonly kind: 'written' | 'whole'; readonly size: number }
  /** Answered by `stopped`, or by what was under way. */
  | { readonly kind: 'stop' };

export type FromFollowingThread =
  | { readonly kind: 'facts'; readonly facts: ImageFacts }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

/** A message for each of so many bytes: for each piece of 64 KiB the messages would cost more than they bring forward. */
const TOLD_BYTES = 2 * 1024 * 1024;

const runInThread = createSharedThreads<ToFollowingThread, FromFollowingThread>(
  new URL('./following-thread.js', import.meta.url),
  1,
);

export class FollowingHash {
  readonly #facts: Promise<ImageFacts>;
  readonly #stopping = new AbortController();
  #thread: Thread<ToFollowingThread> | undefined;
  #told = 0;

  /** The file has to be there. It is opened by its path and followed under whatever name it has later. */
  constructor(path: string, withMd5 = false) {
    this.#facts = runInThread<ImageFacts>({
      request: { kind: 'follow', path, withMd5 },
      signal: this.#stopping.signal,
      abort: { kind: 'stop' },
      onBegun: (thread) => {
        this.#thread = thread;
      },
      onMessage(message) {
        if (message.kind === 'facts') return { result: message.facts };
        if (message.kind === 'failed') throw Object.assign(new Error(message.message), { code: message.code });
        throw new CodedError('HASH_STOPPED', 'the file is not followed any more');
      },
    });
    // Who needs them asks by `whole`; a failure of what nobody asks for is of no interest.
    this.#facts.catch(() => undefined);
  }

  /** The file has grown to `size` bytes; they are with the kernel. */
  written(size: number): void {
    if (size - this.#told < TOLD_BYTES) return;
    this.#told = size;
    this.#thread?.post({ kind: 'written', size });
  }

  /** These are all. Rejects with the system's code, or `THREAD_ENDED`. */
  whole(size: number): Promise<ImageFacts> {
    this.#thread?.post({ kind: 'whole', size });
    return this.#facts;
  }

  /** Resolves when the file is not read any more. Safe to repeat, and after `whole`, which rejects then if it was under way. */
  async stop(): Promise<void> {
    this.#stopping.abort(new CodedError('HASH_STOPPED', 'the file is not followed any more'));
    await this.#facts.then(
      () => undefined,
      () => undefined,
    );
  }
}
