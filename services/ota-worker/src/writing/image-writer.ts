/**
 * Write an image into its file and know its digest at the end, without reading it from the disk again. Small images are hashed by
 * the thread that calls, piece by piece while a piece is in the processor's cache; of larger ones a second thread hashes
 * what is written (`following-hash.ts`), and nothing waits for it but the end.
 */
import { writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { ImageFacts } from '@khumbu/steps/firmware-update/image-ports';
import { FollowingHash } from './following-hash.js';
import { FactFinder } from './image-facts.js';

const PIECE_BYTES = 256 * 1024;

/** From this size on a file is followed: below it a thread costs more than it gains. What was hashed before is hashed again. */
const FOLLOWED_BYTES = 8 * 1024 * 1024;

/** The first `size` bytes of a file, piece by piece. The buffer is used again: copy what must stay. */
export async function* readPieces(file: FileHandle, size: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(PIECE_BYTES, size));
  for (let at = 0; at < size; ) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, size - at), at);
    if (bytesRead === 0) throw Object.assign(new Error('the file is shorter than it was'), { code: 'EIO' });
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

/** The file must stay open as long as it is used, and have its path until `append` has written to it. */
export class ImageWriter {
  readonly #fd: number;
  readonly #path: string;
  readonly #finder: FactFinder;
  readonly #withMd5: boolean;
  #following: FollowingHash | undefined;
  #written = 0;

  /** For an empty file. `withMd5`: the facts hold that as well. */
  constructor(file: FileHandle, path: string, withMd5 = false) {
    this.#fd = file.fd;
    this.#path = path;
    this.#withMd5 = withMd5;
    this.#finder = new FactFinder(withMd5);
  }

  /** Go on behind the first `size` bytes. Those of a small file are read first; large ones are read while more comes. */
  static async behind(
    file: FileHandle,
    path: string,
    size: number,
    signal: AbortSignal,
    withMd5 = false,
  ): Promise<ImageWriter> {
    const writer = new ImageWriter(file, path, withMd5);
    writer.#written = size;
    if (size >= FOLLOWED_BYTES) writer.#follow();
    else for await (const piece of readPieces(file, size, signal)) writer.#finder.feed(piece);
    return writer;
  }

  /** Bytes that are with the kernel: a kill of this process does not lose them. */
  get written(): number {
    return this.#written;
  }

  /** Throws with the system's code; then `written` says how far it came, and there are no facts. */
  append(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; ) {
      const length = writeSync(this.#fd, bytes, at, bytes.length - at, this.#written);
      this.#written += length;
      at += length;
    }
    if (this.#following) this.#following.written(this.#written);
    else if (this.#written >= FOLLOWED_BYTES) this.#follow();
    else this.#finder.feed(bytes);
  }

  /** Once, at the end. Rejects with the system's code, `THREAD_ENDED`, or `HASH_STOPPED` after `stop`. */
  async facts(): Promise<ImageFacts> {
    return this.#following ? this.#following.whole(this.#written) : this.#finder.facts();
  }

  /** Resolves when nobody reads the file any more. Safe to repeat, and at any time. */
  async stop(): Promise<void> {
    await this.#following?.stop();
  }

  #follow(): void {
    this.#following = new FollowingHash(this.#path, this.#withMd5);
    this.#following.written(this.#written);
  }
}
