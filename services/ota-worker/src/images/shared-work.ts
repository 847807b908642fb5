/** Work that several want at once is done once, for all of them. */
import { unlessAborted } from '@khumbu/shared/runtime/abort';

/** `signal` fires when the last caller has aborted. */
export type Begin<T> = (signal: AbortSignal) => Promise<T>;

interface Piece<T> {
  readonly result: Promise<T>;
  readonly aborter: AbortController;
  wanted: number;
}

export class SharedWork<T> {
  readonly #underWay = new Map<string, Piece<T>>();

  /**
   * The result of the work of this name, which is begun unless it is under way. A caller whose signal fires (this rejects with
   * its reason) leaves the work to the others; the last one aborts it and waits until it has ended.
   */
  async get(name: string, signal: AbortSignal, begin: Begin<T>): Promise<T> {
    signal.throwIfAborted();
    const piece = this.#underWay.get(name) ?? this.#begin(name, begin);
    piece.wanted += 1;
    try {
      return await unlessAborted(piece.result, signal);
    } finally {
      piece.wanted -= 1;
      if (piece.wanted === 0) await this.#end(name, piece);
    }
  }

  #begin(name: string, begin: Begin<T>): Piece<T> {
    const aborter = new AbortController();
    const piece = { result: begin(aborter.signal), aborter, wanted: 0 };
    this.#underWay.set(name, piece);
    const over = (): void => void this.#forget(name, piece);
    piece.result.then(over, over);
    return piece;
  }

  /** `false`: it was over already. */
  #forget(name: string, piece: Piece<T>): boolean {
    return this.#underWay.get(name) === piece && this.#underWay.delete(name);
  }

  /** A later call begins anew. */
  async #end(name: string, piece: Piece<T>): Promise<void> {
    if (!this.#forget(name, piece)) return;
    piece.aborter.abort();
    await piece.result.catch(() => undefined);
  }
}
