/**
 * Write an image into its file and know its digest at the end, without reading it again: a thread of its own writes
 * and hashes while the caller's thread goes on with the network.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { RING_BYTES, Ring, type SharedRing, shareRing } from './ring.js';

/** What reading an image tells. */
export interface ImageFacts {
  /** Lower-case hex. */
  readonly sha256: string;
  /** Where its metadata block begins, if it has one. */
  readonly metadataAt?: number;
}

export interface ThreadData {
  readonly fd: number;
  /** Bytes that are in the file already. */
  readonly size: number;
  readonly ring: SharedRing;
}

export type FromThread =
  | { readonly kind: 'room' }
  | { readonly kind: 'done'; readonly facts: ImageFacts }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

const SCRIPT = new URL('./image-thread.js', import.meta.url);

/** Not for concurrent use. The file must stay open until `end` has resolved. */
export class ImageWriter {
  readonly #ring: Ring;
  readonly #worker: Worker;
  readonly #done: Promise<ImageFacts>;
  #put: number;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  /** Go on behind the first `size` bytes, which are read first. */
  constructor(file: FileHandle, size: number) {
    const ring = shareRing();
    const workerData: ThreadData = { fd: file.fd, size, ring };
    this.#ring = new Ring(ring);
    this.#put = size;
    this.#worker = new Worker(SCRIPT, { workerData, execArgv: [], env: {} });
    this.#done = new Promise((resolve, reject) => {
      const fail = (error: Error): void => {
        this.#failure ??= error;
        this.#wake?.();
        reject(error);
      };
      this.#worker.on('message', (message: FromThread) => {
        if (message.kind === 'done') resolve(message.facts);
        else if (message.kind === 'room') this.#wake?.();
        else fail(Object.assign(new Error(message.message), { code: message.code }));
      });
      this.#worker.on('error', (error) => fail(error as Error));
      this.#worker.on('exit', () => fail(new CodedError('IMAGE_THREAD_ENDED', 'the writing thread has ended')));
    });
    // Whoever waits meets the failure; without a waiter it must not end the process.
    this.#done.catch(() => undefined);
  }

  /** Bytes that are with the kernel: a kill of this process does not lose them. */
  get written(): number {
    return this.#put - this.#ring.waiting;
  }

  /** Resolves when all are on their way; at most `RING_BYTES` are not written then. The buffer may be used again. */
  async append(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      if (this.#failure) throw this.#failure;
      const length = this.#ring.put(bytes.subarray(at));
      this.#put += length;
      at += length;
      if (length === 0) await this.#untilWaiting(RING_BYTES / 2);
    }
  }

  /** Resolves when everything is with the kernel. */
  drain(): Promise<void> {
    return this.#untilWaiting(0);
  }

  /** Like `drain`, but a writer that has failed is also at rest: `written` says how far it came. */
  async rest(): Promise<void> {
    await this.#untilWaiting(0, false);
  }

  /** No more will come; resolves when all is written. */
  finish(): Promise<ImageFacts> {
    this.#ring.end();
    return this.#done;
  }

  /** Ends the thread, wherever it is. Safe to repeat. */
  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  async #untilWaiting(most: number, isFailureThrown = true): Promise<void> {
    while (this.#ring.waiting > most && !this.#failure) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      if (this.#ring.askForMessage(most)) await woken;
    }
    if (this.#failure && isFailureThrown) throw this.#failure;
  }
}

/** Read a whole file. Rejects with the signal's reason when aborted. */
export async function readImageFacts(path: string, signal: AbortSignal): Promise<ImageFacts> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    signal.throwIfAborted();
    const writer = new ImageWriter(file, size);
    const stop = (): void => void writer.end();
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await writer.finish();
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
      await writer.end();
    }
  } finally {
    await file.close();
  }
}
