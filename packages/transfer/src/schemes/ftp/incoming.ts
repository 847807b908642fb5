/**
 * What comes over a data connection. Without TLS the kernel fills one buffer again and again (`onread` of `net`): content costs
 * neither an allocation nor the garbage collector's work for each 64 KiB. What TLS has deciphered comes from its stream.
 */
import type { OnReadOpts, Socket } from 'node:net';

/** How much the kernel may hand over at once; at least so much, where pieces are to be small. */
const BUFFER_BYTES = 1024 * 1024;
const LEAST_BUFFER_BYTES = 16 * 1024;

export class Incoming {
  #socket: Socket | undefined;
  #isStream = false;
  #use: ((piece: Buffer) => void) | undefined;
  /** What came while nobody read; a stream keeps that itself. */
  readonly #early: Buffer[] = [];

  /** For `connect`. `pieceBytes`: longest piece that is wanted. */
  onread(pieceBytes: number = BUFFER_BYTES): OnReadOpts {
    const bytes = Math.min(BUFFER_BYTES, Math.max(LEAST_BUFFER_BYTES, pieceBytes));
    return {
      buffer: Buffer.allocUnsafeSlow(bytes),
      callback: (length, buffer) => this.#take(buffer.subarray(0, length) as Buffer),
    };
  }

  /** Where it comes from. `isStream`: as `data` events. */
  from(socket: Socket, isStream: boolean): this {
    this.#socket = socket;
    this.#isStream = isStream;
    return this;
  }

  /** Hand over what comes, until `hold`. A piece is valid only while `use` runs. */
  read(use: (piece: Buffer) => void): void {
    this.#use = use;
    if (this.#isStream) this.#socket?.on('data', this.#take);
    while (this.#use !== undefined && this.#early.length > 0) this.#use(this.#early.shift() as Buffer);
    if (this.#use !== undefined) this.#socket?.resume();
  }

  /** Nothing is handed over any more; what is under way is kept for the next one who reads. */
  hold(): void {
    this.#use = undefined;
    this.#socket?.pause().off('data', this.#take);
  }

  /** The result is whether to read on. */
  readonly #take = (piece: Buffer): boolean => {
    if (this.#use) this.#use(piece);
    else this.#early.push(Buffer.from(piece));
    return this.#use !== undefined;
  };
}
