/** Keeps what comes of one run of a fetch in the object store, whatever files it grows in. */
import { describeError } from '@khumbu/shared/runtime/errors';
import type { GrowingPart } from '../fetching/fetch-options.js';
import { FollowedPart } from './follow-part.js';
import type { Earlier, PieceStore, PiecesLog } from './piece-store.js';

/** `came`: the image is there, and its pieces go when that is stored. `broken off`: another run goes on. `of no use`: none does. */
export type RunEnd = 'came' | 'broken off' | 'of no use';

export class PieceKeeper {
  readonly #store: PieceStore;
  readonly #fetch: string;
  readonly #log: Pick<PiecesLog, 'warn'>;
  #earlier: Earlier;
  #current: FollowedPart | undefined;
  #turn: Promise<void> = Promise.resolve();
  #hasFailed = false;

  /** `earlier`: what there was when the run began. Nothing else is removed by it but what is its own. */
  constructor(store: PieceStore, fetch: string, earlier: Earlier, log: Pick<PiecesLog, 'warn'>) {
    this.#store = store;
    this.#fetch = fetch;
    this.#earlier = earlier;
    this.#log = log;
  }

  /** The download grows in this file from now on. */
  readonly follow = (part: GrowingPart): void => {
    this.#turn = this.#turn.then(async () => {
      await this.#leave(false);
      const deps = { store: this.#store, fetch: this.#fetch, earlier: this.#earlier, onFailure: this.#onFailure };
      this.#current = new FollowedPart(part, deps);
    });
  };

  /** Resolves within seconds, also where the store is silent. Never rejects. */
  async end(how: RunEnd): Promise<void> {
    await this.#turn;
    await this.#leave(how === 'broken off');
    if (how !== 'of no use') return;
    // What stays all the same is swept.
    const keys = this.#earlier.objects.map(({ key }) => key);
    void this.#store.remove(keys).catch(this.#onFailure);
  }

  async #leave(withRest: boolean): Promise<void> {
    const left = this.#current;
    this.#current = undefined;
    if (left) this.#earlier = await left.stop(withRest);
  }

  /** Once: the next piece tries again, and a store that is down would fail hundreds. */
  readonly #onFailure = (error: unknown): void => {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#log.warn(
      { fetch: this.#fetch, reason: describeError(error) },
      'what comes of a download is not kept in the object store for other workers now',
    );
  };
}
