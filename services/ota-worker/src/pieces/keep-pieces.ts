/** Keeps what comes of one run of a fetch in the object store, whatever files it grows in. */
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { GrowingPart } from '../fetching/fetch-options.js';
import { FollowedPart, LAST_MS } from './follow-part.js';
import type { Held } from './piece-names.js';
import { isRefusal, type PieceStore, type PiecesLog } from './piece-store.js';

/** `came`: the image is there, and its pieces go when that is stored. `broken off`: another run goes on. `of no use`: none does. */
export type RunEnd = 'came' | 'broken off' | 'of no use';

/** A removal that takes longer is left to the sweep. */
const REMOVE_MS = 60_000;

const SAID = {
  put: 'what comes of a download is not kept in the object store for other workers now',
  refused:
    'the object store takes nothing more of this download for other workers: it is full, or lacks a right of the keys',
  remove:
    'outdated pieces of a download were not removed from the object store; they go with its image, or after seven days',
} as const;

export class PieceKeeper {
  readonly #store: PieceStore;
  readonly #fetch: string;
  readonly #log: Pick<PiecesLog, 'warn'>;
  readonly #lastMs: number;
  #held: readonly Held[] = [];
  /** All that this run knows of, its own as well. */
  readonly #generations = new Set<string>();
  #current: FollowedPart | undefined;
  #turn: Promise<void> = Promise.resolve();
  #removing: Promise<void> = Promise.resolve();
  readonly #told = new Set<keyof typeof SAID>();
  #isRefused = false;

  /** `held`: what there was when the run began; `lastMs`: how long its end may take. */
  constructor(
    store: PieceStore,
    fetch: string,
    held: readonly Held[],
    log: Pick<PiecesLog, 'warn'>,
    lastMs: number = LAST_MS,
  ) {
    this.#store = store;
    this.#fetch = fetch;
    this.#know(held);
    this.#log = log;
    this.#lastMs = lastMs;
  }

  /** The download grows in this file from now on. */
  readonly follow = (part: GrowingPart): void => {
    this.#turn = this.#turn.then(async () => {
      await this.#leave(false);
      if (this.#isRefused) return;
      this.#current = new FollowedPart(part, {
        store: this.#store,
        fetch: this.#fetch,
        held: this.#held,
        lastMs: this.#lastMs,
        onFailure: (error) => this.#fail('put', error),
        onOutdated: (generations, needed) => this.#remove(generations, needed),
      });
    });
  };

  /** Resolves within `lastMs` or soon after, also where the store is silent. Never rejects. */
  async end(how: RunEnd): Promise<void> {
    await this.#turn;
    await this.#leave(how === 'broken off');
    if (how === 'of no use') this.#remove(this.#generations, new Set());
  }

  async #leave(withRest: boolean): Promise<void> {
    const left = this.#current;
    this.#current = undefined;
    if (left) this.#know(await left.stop(withRest && !this.#isRefused));
  }

  #know(held: readonly Held[]): void {
    this.#held = held;
    for (const { generation } of held) this.#generations.add(generation);
  }

  /** Nothing waits for it; one after the other, so that each sees what is left. */
  #remove(generations: ReadonlySet<string>, needed: ReadonlySet<string>): void {
    this.#removing = this.#removing.then(async () => {
      const limit = deadlineAfter(REMOVE_MS);
      try {
        await this.#store.removeGenerations(this.#fetch, generations, needed, limit.signal);
      } catch (error) {
        this.#fail('remove', error);
      } finally {
        limit.clear();
      }
    });
  }

  /** Each is told once: the next piece tries again, and a store that is down would fail hundreds. What it refuses it refuses again. */
  #fail(what: 'put' | 'remove', error: unknown): void {
    if (isRefusal(error)) {
      this.#isRefused = true;
      this.#turn = this.#turn.then(() => this.#leave(false));
    }
    const said = what === 'put' && isRefusal(error) ? 'refused' : what;
    if (this.#told.has(said)) return;
    this.#told.add(said);
    this.#log.warn({ fetch: this.#fetch, reason: describeError(error) }, SAID[said]);
  }
}
