/** Whether what comes overlaps what is held: the one proof that a file server goes on with the same content, from the same place. */

/** Takes the first bytes that come and compares them with the last that are held. */
export class TailCheck {
  readonly #tail: Buffer;
  #compared = 0;

  constructor(tail: Buffer) {
    this.#tail = tail;
  }

  get isDone(): boolean {
    return this.#compared === this.#tail.length;
  }

  /** What of the piece is new; `undefined`: it is another content, or another place of it. */
  rest(piece: Buffer): Buffer | undefined {
    const count = Math.min(piece.length, this.#tail.length - this.#compared);
    const isEqual = this.#tail.compare(piece, 0, count, this.#compared, this.#compared + count) === 0;
    if (!isEqual) return undefined;
    this.#compared += count;
    return piece.subarray(count);
  }
}
