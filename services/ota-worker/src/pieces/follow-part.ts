/**
 * Puts a part file that another thread writes into the object store, piece by piece, behind the download, which neither waits for
 * it nor hears of its failures. What is read is what the kernel has of the file: it only grows, and is of one content, so it
 * does not matter under which name the writer has it by now, or whether it has one.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { CodedError, ifExists } from '@khumbu/shared/runtime/errors';
import { TAIL_BYTES } from '@khumbu/transfer/port';
import type { GrowingPart } from '../fetching/fetch-options.js';
import { type Begun, type Held, isSameContent, type Piece, pieceName, type StoredObject } from './piece-names.js';
import { LOOK_MS, MOST_BYTES, nextPiece } from './piece-pace.js';
import { type Earlier, type PieceStore, sha256Of } from './piece-store.js';

/** One put; a store that takes longer does not keep up with any line. */
const PUT_MS = 30_000;
/** After a failure the store is left alone for so long. */
const AFTER_FAILURE_MS = 5000;
/** So long the end of a run waits for what is on its way, and puts the rest. */
const LAST_MS = 5000;

export interface FollowDeps {
  readonly store: PieceStore;
  readonly fetch: string;
  readonly earlier: Earlier;
  readonly onFailure: (error: unknown) => void;
}

type Next = (unkept: number, ms: number) => number;

const isWorth = (kept: number, unkept: number): boolean => unkept > 0 && kept + unkept > TAIL_BYTES;

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, length - at, offset + at);
    if (bytesRead === 0) throw Object.assign(new Error('the part is shorter than it was'), { code: 'EIO' });
    at += bytesRead;
  }
  return bytes;
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
  /** What this generation has in the store. */
  readonly #objects: StoredObject[] = [];
  #isCompared = false;
  #isFirst = true;
  #file: FileHandle | undefined;
  #busy: Promise<void> | undefined;
  #isStopped = false;
  #putAt = performance.now();
  #notBefore = 0;

  constructor(part: GrowingPart, deps: FollowDeps) {
    this.#part = part;
    this.#deps = deps;
    const { validators, total, labels } = part;
    this.#begun = { validators, labels, startedAt: Date.now(), ...(total === undefined ? {} : { total }) };
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** `withRest`: put what no piece has yet, as far as that is done soon. Resolves with what was earlier for a next run. */
  async stop(withRest: boolean): Promise<Earlier> {
    clearInterval(this.#timer);
    this.#isStopped = true;
    // Before anything was put there is nothing to wait for.
    if (!withRest && !this.#isCompared) this.#ending.abort(new CodedError('ABORTED', 'the run has ended'));
    const late = setTimeout(() => this.#ending.abort(new CodedError('TIMEOUT', 'the run has ended')), LAST_MS).unref();
    try {
      await this.#busy;
      if (withRest) await this.#keep((unkept) => (isWorth(this.#kept, unkept) ? Math.min(unkept, MOST_BYTES) : 0));
    } catch (error) {
      this.#deps.onFailure(error);
    } finally {
      clearTimeout(late);
      await this.#file?.close();
    }
    const { objects, held } = this.#deps.earlier;
    return { objects: [...objects, ...this.#objects], held: [...held, this.#held()] };
  }

  #held(): Held {
    const begun = { ...this.#begun, goesOnFrom: [] };
    return { generation: this.#generation, begun, pieces: this.#pieces, bytes: this.#kept };
  }

  get #kept(): number {
    const last = this.#pieces.at(-1);
    return last ? last.offset + last.bytes : 0;
  }

  #look(): void {
    if (this.#busy || performance.now() < this.#notBefore) return;
    this.#busy = this.#keep((unkept, ms) => (this.#isStopped ? 0 : nextPiece(unkept, ms)))
      .catch((error: unknown) => {
        this.#notBefore = performance.now() + AFTER_FAILURE_MS;
        if (!this.#ending.signal.aborted) this.#deps.onFailure(error);
      })
      .finally(() => {
        this.#busy = undefined;
      });
  }

  /** As many pieces as there are now. */
  async #keep(next: Next): Promise<void> {
    // One that is published or discarded by now needs no keeping.
    this.#file ??= await ifExists(open(this.#part.path));
    const file = this.#file;
    if (!file) return clearInterval(this.#timer);
    for (;;) {
      const { size } = await file.stat();
      const bytes = next(size - this.#kept, performance.now() - this.#putAt);
      if (bytes === 0) return;
      if (this.#isCompared) await this.#keepPiece(file, bytes);
      else await this.#goOnFromEarlier(file, size);
    }
  }

  /** What is in the store already, byte by byte, is not put there again. */
  async #goOnFromEarlier(file: FileHandle, size: number): Promise<void> {
    const same = this.#deps.earlier.held.filter(({ begun }) => isSameContent(begun, this.#part));
    const [best] = same.toSorted((a, b) => b.bytes - a.bytes);
    for (const piece of best?.pieces ?? []) {
      this.#ending.signal.throwIfAborted();
      if (piece.offset + piece.bytes > size) break;
      if (sha256Of(await readAt(file, piece.offset, piece.bytes)) !== piece.sha256) break;
      this.#pieces.push(piece);
    }
    this.#isCompared = true;
  }

  async #keepPiece(file: FileHandle, length: number): Promise<void> {
    this.#putAt = performance.now();
    const { store, fetch } = this.#deps;
    const [generation, offset] = [this.#generation, this.#kept];
    const bytes = await readAt(file, offset, length);
    const { signal, clear } = deadlineAfter(PUT_MS, this.#ending.signal);
    try {
      if (this.#objects.length === 0) {
        const goesOnFrom = this.#pieces.map(pieceName);
        this.#objects.push(await store.begin(fetch, generation, { ...this.#begun, goesOnFrom }, signal));
      }
      const piece = await store.put(fetch, { generation, offset }, bytes, signal);
      this.#objects.push(piece);
      this.#pieces.push(piece);
    } finally {
      clear();
    }
    if (this.#isFirst) await this.#removeOutdated();
  }

  /** What of earlier runs is of another content, or is no more than this one has by now. */
  async #removeOutdated(): Promise<void> {
    const { store, earlier } = this.#deps;
    this.#isFirst = false;
    const outdated = earlier.held.filter(
      ({ begun, bytes }) => !isSameContent(begun, this.#part) || bytes <= this.#kept,
    );
    const generations = new Set(outdated.map(({ generation }) => generation));
    const needed = new Set(this.#pieces.map(({ key }) => key));
    const going = earlier.objects.filter(({ generation, key }) => generations.has(generation) && !needed.has(key));
    await store.remove(
      going.map(({ key }) => key),
      this.#ending.signal,
    );
  }
}
