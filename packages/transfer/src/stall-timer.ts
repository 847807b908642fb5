import { type Leg, silenceOf, TransferError } from './transfer-error.js';

/** Aborts a connection that sends nothing for too long while data is awaited. One timer: pieces come by the thousand. */
export class StallTimer {
  readonly #aborter = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #isAwaited = false;

  constructor(leg: Leg, stallMs: number) {
    this.#timer = setTimeout(() => {
      if (!this.#isAwaited) return;
      this.#aborter.abort(new TransferError(leg, silenceOf(leg), `nothing came for ${stallMs} ms`));
    }, stallMs);
  }

  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  /** Data is awaited from now on. */
  start(): void {
    this.#isAwaited = true;
    this.#timer.refresh();
  }

  /** Data came, or none is awaited for now. */
  pause(): void {
    this.#isAwaited = false;
  }

  /** No data is awaited any more. */
  end(): void {
    this.pause();
    clearTimeout(this.#timer);
  }
}
