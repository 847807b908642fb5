/**
 * Bytes on their way from one thread to another, through shared memory: one puts, one takes. The taker sleeps when
 * there is nothing; the putter, who must not sleep, asks for a message when there is room again.
 */

/** A power of two. */
export const RING_BYTES = 256 * 1024;

export interface SharedRing {
  readonly bytes: SharedArrayBuffer;
  readonly control: SharedArrayBuffer;
}

/** Places in `control`. `PUT` and `TAKEN` count bytes, modulo `COUNT`; `CHANGED` rises with all the putter does. */
const PUT = 0;
const TAKEN = 1;
const CHANGED = 2;
const ENDED = 3;
/** The putter wants a message when fewer bytes than this wait; 0: it does not. */
const WANTED = 4;
const COUNT = 2 ** 30;

export const shareRing = (): SharedRing => ({
  bytes: new SharedArrayBuffer(RING_BYTES),
  control: new SharedArrayBuffer(5 * Int32Array.BYTES_PER_ELEMENT),
});

export class Ring {
  readonly #bytes: Uint8Array;
  readonly #control: Int32Array;

  constructor({ bytes, control }: SharedRing) {
    this.#bytes = new Uint8Array(bytes);
    this.#control = new Int32Array(control);
  }

  /** Bytes that were put and not released yet. */
  get waiting(): number {
    return (Atomics.load(this.#control, PUT) - Atomics.load(this.#control, TAKEN) + COUNT) % COUNT;
  }

  /** Put as many as there is room for in one piece; how many that was. */
  put(bytes: Uint8Array): number {
    const at = Atomics.load(this.#control, PUT);
    const offset = at % RING_BYTES;
    const length = Math.min(bytes.length, RING_BYTES - this.waiting, RING_BYTES - offset);
    if (length === 0) return 0;
    this.#bytes.set(length === bytes.length ? bytes : bytes.subarray(0, length), offset);
    Atomics.store(this.#control, PUT, (at + length) % COUNT);
    this.#tell();
    return length;
  }

  /** Nothing will be put any more. */
  end(): void {
    Atomics.store(this.#control, ENDED, 1);
    this.#tell();
  }

  /** Whether a message will come once no more than `most` bytes wait; `false`: that is so already. */
  askForMessage(most: number): boolean {
    Atomics.store(this.#control, WANTED, most + 1);
    if (this.waiting > most) return true;
    return Atomics.compareExchange(this.#control, WANTED, most + 1, 0) !== most + 1;
  }

  /** What waits, as far as it is in one piece; sleeps until there is something. `undefined` at the end. */
  take(): Uint8Array | undefined {
    for (;;) {
      const changed = Atomics.load(this.#control, CHANGED);
      const { waiting } = this;
      if (waiting > 0) {
        const offset = Atomics.load(this.#control, TAKEN) % RING_BYTES;
        return this.#bytes.subarray(offset, Math.min(offset + waiting, RING_BYTES));
      }
      if (Atomics.load(this.#control, ENDED) === 1) return undefined;
      Atomics.wait(this.#control, CHANGED, changed);
    }
  }

  /** The first `length` bytes of what was taken are done with. Whether the putter wants the message now. */
  release(length: number): boolean {
    Atomics.store(this.#control, TAKEN, (Atomics.load(this.#control, TAKEN) + length) % COUNT);
    const wanted = Atomics.load(this.#control, WANTED);
    if (wanted === 0 || this.waiting >= wanted) return false;
    return Atomics.compareExchange(this.#control, WANTED, wanted, 0) === wanted;
  }

  #tell(): void {
    Atomics.add(this.#control, CHANGED, 1);
    Atomics.notify(this.#control, CHANGED);
  }
}
