/**
 * Puts a part file that another thread writes into the object store, piece by piece, behind the download, which neither waits for
 * it nor hears of its failures. The file is open for no longer than a piece is read: one that is discarded frees its space. It
 * only grows, and is of one content, so whatever was read of it is right.
 */
import { randomUUID } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { CodedError, ifExists } from '@khumbu/shared/runtime/errors';
import { TAIL_BYTES } from '@khumbu/transfer/port';
import type { GrowingPart } from '../fetching/fetch-options.js';
import { type Begun, type Held, isSameContent, nextStep, type Piece, pieceName } from './piece-names.js';
import { LOOK_MS, longestMs, MOST_BYTES, nextPiece } from './piece-pace.js';
import { type PieceStore, sha256Of } from './piece-store.js';

/** After a failure the store is left alone for so long. */
const AFTER_FAILURE_MS = 5000;
/** So long the end of a run waits for what is on its way, and puts the rest, by default. A process that stops has eight seconds. */
export const LAST_MS = 2000;

export interface FollowDeps {
  readonly store: Pick<PieceStore, 'begin' | 'put' | 'inTurn'>;
  readonly fetch: string;
  /** What earlier runs and files have in the store. */
  readonly held: readonly Held[];
  /** How long the end of the run may take. */
  readonly lastMs: number;
  readonly onFailure: (error: unknown) => void;
  /** Generations that nobody needs to go on from, and the keys of what of them is needed all the same. */
  readonly onOutdated: (generations: ReadonlySet<string>, needed: ReadonlySet<string>) => void;
}

type Next = (unkept: number, ms: number) => number;

const isWorth = (kept: number, unkept: number): boolean => unkept > 0 && kept + unkept > TAIL_BYTES;
const theRest =
  (kept: () => number): Next =>
  (unkept) =>
    isWorth(kept(), unkept) ? Math.min(unkept, MOST_BYTES) : 0;

/** `undefined`: it is published or discarded by now. */
export async function readAt(path: string, offset: number, length: number): Promise<Buffer | undefined> {
  const file = await ifExists(open(path));
  if (!file) return undefined;
  try {
    const bytes = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; ) {
      const { bytesRead } = await file.read(bytes, at, length - at, offset + at);
      if (bytesRead === 0) throw Object.assign(new Error('the part is shorter than it was'), { code: 'EIO' });
      at += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}

/** One file, one generation in the store. */
export class FollowedPart {
  readonly #part: GrowingPart;
  readonly #deps: FollowDeps;
  readonly #generation = randomUUID();
  readonly #begun: Omit<Begun, 'goesOnFrom'>;
  readonly #ending = new AbortController();
  readonly #timer: NodeJS.Timeout;
  /** Those of earlier generations that this file begins with, then its own. */
  readonly #pieces: Piece[] = [];
  #held: readonly Held[];
  /** Generations that claim this content and hold other bytes. */
  readonly #contradicted = new Set<string>();
  /** The description of this generation is in the store: what it goes on from does not change any more. */
  #isBegun = false;
  #isOver = false;
  #busy: Promise<void> | undefined;
  #putAt = performance.now();
  #notBefore = 0;

  constructor(part: GrowingPart, deps: FollowDeps) {
    this.#part = part;
    this.#deps = deps;
    this.#held = deps.held;
    const { validators, total, labels } = part;
    this.#begun = { validators, labels, startedAt: Date.now(), ...(total === undefined ? {} : { total }) };
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** `withRest`: put what no piece has yet, as far as that is done soon. Resolves with what is held for a next file. Never rejects. */
  async stop(withRest: boolean): Promise<readonly Held[]> {
    clearInterval(this.#timer);
    const end = (): void => this.#ending.abort(new CodedError('TIMEOUT', 'the run has ended'));
    if (!withRest) end();
    const late = setTimeout(end, this.#deps.lastMs).unref();
    try {
      await this.#busy;
      if (withRest && !this.#isOver) await this.#keep(theRest(() => this.#kept));
    } catch (error) {
      this.#deps.onFailure(error);
    } finally {
      clearTimeout(late);
    }
    // What it has only found out, and put nowhere, the next file finds out again.
    return this.#isBegun ? [...this.#held, this.#own()] : this.#deps.held;
  }

  #own(): Held {
    const begun = { ...this.#begun, goesOnFrom: [] };
    return { generation: this.#generation, begun, pieces: this.#pieces, bytes: this.#kept };
  }

  get #kept(): number {
    const last = this.#pieces.at(-1);
    return last ? last.offset + last.bytes : 0;
  }

  #look(): void {
    if (this.#busy || performance.now() < this.#notBefore) return;
    this.#busy = this.#keep(nextPiece)
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#busy = undefined;
      });
  }

  #fail(error: unknown): void {
    this.#notBefore = performance.now() + AFTER_FAILURE_MS;
    if (!this.#ending.signal.aborted) this.#deps.onFailure(error);
  }

  #end(): void {
    this.#isOver = true;
    clearInterval(this.#timer);
  }

  /** As many pieces as there are now. */
  async #keep(next: Next): Promise<void> {
    for (;;) {
      this.#ending.signal.throwIfAborted();
      const found = await ifExists(stat(this.#part.path));
      if (!found) return this.#end();
      const step = this.#nextStep(found.size);
      if (step.kind === 'wait') return;
      const bytes =
        step.kind === 'compare' ? step.piece.bytes : next(found.size - this.#kept, performance.now() - this.#putAt);
      if (bytes === 0) return;
      const isThere = await this.#deps.store.inTurn(this.#ending.signal, async () => {
        const content = await readAt(this.#part.path, this.#kept, bytes);
        if (!content) return false;
        if (step.kind === 'compare') this.#compare(step.piece, content);
        else await this.#put(content);
        return true;
      });
      if (!isThere) return this.#end();
    }
  }

  /** What is in the store already, byte by byte, is not put there again. */
  #nextStep(size: number): ReturnType<typeof nextStep> {
    if (this.#isBegun) return { kind: 'put' };
    return nextStep(
      this.#held.filter(({ begun }) => isSameContent(begun, this.#part)),
      this.#kept,
      size,
    );
  }

  #compare(piece: Piece, content: Buffer): void {
    if (sha256Of(content) === piece.sha256) {
      this.#pieces.push(piece);
      return;
    }
    const isOfIt = ({ pieces }: Held): boolean => pieces.some(({ key }) => key === piece.key);
    for (const { generation } of this.#held.filter(isOfIt)) this.#contradicted.add(generation);
    this.#held = this.#held.filter((held) => !isOfIt(held));
  }

  async #put(content: Buffer): Promise<void> {
    this.#putAt = performance.now();
    const { store, fetch } = this.#deps;
    const [generation, offset] = [this.#generation, this.#kept];
    const { signal, clear } = deadlineAfter(longestMs(content.length), this.#ending.signal);
    try {
      if (!this.#isBegun) {
        const replaces = this.#contradicted.size === 0 ? {} : { replaces: [...this.#contradicted] };
        const begun = { ...this.#begun, ...replaces, goesOnFrom: this.#pieces.map(pieceName) };
        await store.begin(fetch, generation, begun, signal);
        this.#isBegun = true;
      }
      this.#pieces.push(await store.put(fetch, { generation, offset }, content, signal));
    } finally {
      clear();
    }
    this.#leaveOutdated();
  }

  /** What of earlier runs is of another content, or is no more than this one has by now. */
  #leaveOutdated(): void {
    const isOutdated = ({ begun, bytes }: Held): boolean => !isSameContent(begun, this.#part) || bytes <= this.#kept;
    const outdated = this.#held.filter(isOutdated).map(({ generation }) => generation);
    if (outdated.length === 0 && this.#contradicted.size === 0) return;
    const needed = new Set(this.#pieces.map(({ key }) => key));
    this.#deps.onOutdated(new Set([...outdated, ...this.#contradicted]), needed);
    this.#held = this.#held.filter((held) => !isOutdated(held));
    this.#contradicted.clear();
  }
}
