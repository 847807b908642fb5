/**
 * Write an image into its file and know its digest at the end, without reading it again. All of it is done in the thread
 * that calls, piece by piece as the pieces come, while they are in the processor's cache: fetches have a thread of their own,
 * and to hand the bytes to another one costs more than to hash them.
 */
import { writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { ImageFacts } from '@khumbu/steps/firmware-update/image-ports';
import { FactFinder } from './image-facts.js';

const PIECE_BYTES = 256 * 1024;

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

/** The file must stay open as long as it is used. */
export class ImageWriter {
  readonly #fd: number;
  readonly #facts = new FactFinder();
  #written = 0;

  /** For an empty file. */
  constructor(file: FileHandle) {
    this.#fd = file.fd;
  }

  /** Go on behind the first `size` bytes, which are read first. */
  static async behind(file: FileHandle, size: number, signal: AbortSignal): Promise<ImageWriter> {
    const writer = new ImageWriter(file);
    for await (const piece of readPieces(file, size, signal)) writer.#facts.feed(piece);
    writer.#written = size;
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
    this.#facts.feed(bytes);
  }

  /** Once, at the end. */
  facts(): ImageFacts {
    return this.#facts.facts();
  }
}
