/** The newest entries of the stream, and the subscribers that wait for the next one. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Entry } from '@khumbu/operations/events/stream-entries';
import { compareIds } from '@khumbu/operations/events/stream-ids';
import { onAbort } from '@khumbu/shared/runtime/abort';

const RING = 1000;
const PAGE = 200;
/** Subscribers served in one turn of the event loop: hundreds that format and write at once would delay stations. */
const GROUP = 8;

export async function inGroups<T>(all: readonly T[], act: (one: T) => void): Promise<void> {
  for (let at = 0; at < all.length; at += GROUP) {
    if (at > 0) await nextTurn();
    for (const one of all.slice(at, at + GROUP)) act(one);
  }
}

export class EventRing {
  #entries: Entry[] = [];
  /** All entries after this one are in the ring. */
  #start: string;
  #newest: string;
  readonly #waiters = new Set<() => void>();

  constructor(newest: string) {
    this.#start = newest;
    this.#newest = newest;
  }

  get newest(): string {
    return this.#newest;
  }

  add(entries: readonly Entry[]): void {
    this.#entries.push(...entries);
    this.#newest = this.#entries.at(-1)?.id ?? this.#newest;
    if (this.#entries.length > RING) {
      this.#start = this.#entries.at(-RING - 1)?.id ?? this.#start;
      this.#entries = this.#entries.slice(-RING);
    }
    this.wake();
  }

  /** The stream begins anew after this id. */
  reset(newest: string): void {
    this.#entries = [];
    this.#start = newest;
    this.#newest = newest;
    this.wake();
  }

  /** `undefined`: the ring does not reach back to `cursor`, or `cursor` is none of this stream. */
  after(cursor: string): readonly Entry[] | undefined {
    if (compareIds(cursor, this.#start) < 0 || compareIds(cursor, this.#newest) > 0) return undefined;
    // From the end, where nearly all subscribers are.
    let begin = this.#entries.length;
    while (begin > 0 && compareIds(this.#entries[begin - 1]?.id ?? '', cursor) > 0) begin -= 1;
    return this.#entries.slice(begin, begin + PAGE);
  }

  /** Resolves when there may be something after `cursor`, or when the signal fires. */
  async beyond(cursor: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted || compareIds(this.#newest, cursor) > 0) return;
    let withdraw = (): void => undefined;
    await new Promise<void>((resolve) => {
      this.#waiters.add(resolve);
      withdraw = onAbort(signal, () => {
        this.#waiters.delete(resolve);
        resolve();
      });
    });
    withdraw();
  }

  wake(): void {
    const all = [...this.#waiters];
    this.#waiters.clear();
    void inGroups(all, (resolve) => resolve());
  }
}
