/** Fetch a firmware image over HTTP into the spool, going on where an earlier try or a killed process stopped. */
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { LocationPolicy } from '@khumbu/shared/locations/policy';
import { makeFolder } from '@khumbu/shared/runtime/folders';
import { conditionalHeaders, decideResponse, type Held, type Validators } from './content-range.js';
import { FetchError, isNoSpace, noSpace, spoolError } from './fetch-error.js';
import { ask, type HttpAnswer } from './http-ask.js';
import { newPaths, PartFile } from './part-file.js';
import { bytesPromised } from './promised.js';
import { assertKey, takeOver } from './take-over.js';

export interface FetchOptions {
  readonly location: string;
  /** Names the download in the spool: `[A-Za-z0-9_-]`. Same key, same content wanted. */
  readonly key: string;
  /** Gets the folders `fetching` and `images`; one file system. */
  readonly spoolDir: string;
  readonly policy: LocationPolicy;
  /** Strong validators of the image we already have from this location, as an earlier fetch gave them. */
  readonly known?: Validators;
  readonly maxBytes: number;
  /** Longest silence of the server, in milliseconds. */
  readonly stallMs: number;
  readonly signal: AbortSignal;
  /** After every piece: bytes held and, if known, bytes in all. Must not throw. */
  readonly onProgress?: (bytes: number, total: number | undefined) => void;
  /** Sent to the location's own origin only. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Statuses after which another try may succeed, besides those that say so. */
  readonly retryableStatuses?: readonly number[];
  /** PEM authorities for `https`, in place of the built-in ones. */
  readonly ca?: string | readonly string[];
  /** The spool lacks so many bytes (`Infinity`: it is not known how many). Resolves with how many were freed. */
  readonly makeRoom?: (bytes: number) => Promise<number>;
}

export type FetchResult =
  | {
      readonly kind: 'fetched';
      /** `<spoolDir>/images/<sha256>`, durable. */
      readonly path: string;
      readonly sha256: string;
      readonly sizeBytes: number;
      /** Where its metadata block begins, if it has one. */
      readonly metadataAt?: number;
      readonly etag?: string;
      readonly lastModified?: string;
    }
  | {
      readonly kind: 'unchanged';
      /** The origin began to send it all the same. */
      readonly sentAnyway?: true;
    };

/** One fetch: what is held may change from response to response. */
class Fetch {
  readonly #options: FetchOptions;
  readonly #folder: string;
  readonly #images: string;
  #part: PartFile | undefined;
  /** Bytes the spool lacks, as far as that is known. */
  #missing: number | undefined;

  constructor(options: FetchOptions) {
    this.#options = options;
    this.#folder = join(options.spoolDir, 'fetching');
    this.#images = join(options.spoolDir, 'images');
  }

  async run(): Promise<FetchResult> {
    const { key, signal } = this.#options;
    await makeFolder(this.#folder);
    await makeFolder(this.#images);
    this.#part = await takeOver(this.#folder, key, signal);
    for (;;) {
      const result = await this.#askOnce().catch((error: unknown) => this.#makeRoomFor(error));
      if (result) return result;
    }
  }

  /**
   * What is held stays for the next try, unless no try will follow or nothing can be built upon it. Without room for
   * the rest it would only keep the spool full.
   */
  async end(error: unknown): Promise<void> {
    const isLost = error instanceof FetchError && (error.code === 'FETCH_PERMANENT' || error.reason === 'wrong_length');
    if (isLost || isNoSpace(spoolError(error))) return this.#part?.discard();
    try {
      await this.#part?.close();
    } catch (closing) {
      await this.#part?.discard();
      throw closing;
    }
  }

  /** Ask again if there is room now: each further request follows bytes that were freed. */
  async #makeRoomFor(error: unknown): Promise<undefined> {
    const full = spoolError(error);
    if (!isNoSpace(full)) throw error;
    const freed = (await this.#options.makeRoom?.(this.#missing ?? Number.POSITIVE_INFINITY)) ?? 0;
    this.#missing = undefined;
    if (freed === 0) throw full;
    // What cannot be kept is fetched again.
    await this.#part?.close().catch(() => this.#part?.discard());
    this.#part = await takeOver(this.#folder, this.#options.key, this.#options.signal);
  }

  /** `undefined`: ask again. Each further request either drops what is held or follows bytes that were gained. */
  async #askOnce(): Promise<FetchResult | undefined> {
    const { location, known, policy, stallMs, signal, headers, ca } = this.#options;
    const held = this.#part?.held;
    const answer = await ask(location, {
      policy,
      headers: conditionalHeaders(held, known),
      originHeaders: headers,
      ca,
      stallMs,
      signal,
    });
    try {
      return await this.#use(answer, held);
    } finally {
      answer.drop();
    }
  }

  async #use(answer: HttpAnswer, held: Held | undefined): Promise<FetchResult | undefined> {
    const decision = decideResponse(answer, held, this.#options.known, Date.now());
    switch (decision.kind) {
      case 'fail': {
        const retryable = decision.retryable || (this.#options.retryableStatuses?.includes(answer.status) ?? false);
        throw new FetchError(retryable, decision.reason, `the server answered ${answer.status}`, decision);
      }
      case 'unchanged':
        await this.#part?.discard();
        return answer.status === 200 ? { kind: 'unchanged', sentAnyway: true } : { kind: 'unchanged' };
      case 'changed':
        await this.#part?.discard();
        this.#part = undefined;
        return undefined;
      case 'complete':
        return this.#publish();
      case 'resume':
        break;
      case 'start_anew':
        await this.#part?.discard();
        this.#part = undefined;
        await this.#assertFits(decision.total, 0);
        this.#part = await PartFile.create(
          newPaths(this.#folder, this.#options.key),
          decision.validators,
          decision.total,
        );
        break;
    }
    const part = this.#part;
    if (!part) throw new FetchError(true, 'bad_response', 'a partial answer to nothing');
    part.total = decision.total;
    await this.#assertFits(decision.total, part.held.offset, await bytesPromised(this.#folder, part.place, Date.now()));
    return this.#receive(answer, part);
  }

  async #receive(answer: HttpAnswer, part: PartFile): Promise<FetchResult | undefined> {
    const { maxBytes, onProgress } = this.#options;
    const before = part.held.offset;
    const { total } = part.held;
    let size = before;
    await answer.readBody((piece) => {
      size += piece.length;
      if (size > maxBytes) throw tooLarge(maxBytes);
      if (total !== undefined && size > total) throw wrongLength(size, total);
      part.append(piece);
      onProgress?.(size, total);
    });
    const { offset, validators } = part.held;
    if (total === undefined || offset === total) return this.#publish();
    // A server may send ranges in portions of its own: go on while something comes.
    const isResumable = (validators.etag ?? validators.lastModified) !== undefined;
    if (answer.status === 206 && offset > before && isResumable) return undefined;
    throw new FetchError(true, 'cut', `the body ended after ${offset} of ${total} bytes`);
  }

  async #publish(): Promise<FetchResult> {
    const part = this.#part;
    if (!part) throw new FetchError(true, 'bad_response', 'nothing is held');
    const { validators, offset, total } = part.held;
    if (total !== undefined && offset !== total) throw wrongLength(offset, total);
    return { kind: 'fetched', ...(await part.publish(this.#images)), ...validators };
  }

  async #assertFits(total: number | undefined, offset: number, promised = 0): Promise<void> {
    const { maxBytes } = this.#options;
    if (total === undefined) return;
    if (total > maxBytes) throw tooLarge(maxBytes);
    const disk = await statfs(this.#folder);
    const missing = total - offset + promised - disk.bavail * disk.bsize;
    if (missing <= 0) return;
    this.#missing = missing;
    const others = promised > 0 ? ` while other downloads still need ${promised}` : '';
    throw noSpace(`the spool folder has no room for ${total - offset} more bytes${others}, it lacks ${missing}`);
  }
}

const tooLarge = (maxBytes: number) => new FetchError(false, 'too_large', `the image is larger than ${maxBytes} bytes`);
const wrongLength = (size: number, total: number) =>
  new FetchError(true, 'wrong_length', `the image has ${size} bytes, not ${total} as announced`);

const isSpoolTrouble = (error: unknown): boolean =>
  error instanceof FetchError && (error.reason === 'no_space' || error.reason === 'spool_unusable');

/**
 * One try to fetch an image. Safe to repeat, to abort and to kill at any time; of several runs with one key the last
 * to start wins and the others fail with `superseded`. Redirects, ranges and new starts within the try are its own.
 *
 * Throws `FETCH_RETRYABLE` or `FETCH_PERMANENT` (`FetchError`, with `reason` and `retryAfterS`), `FETCH_KEY_INVALID`,
 * or the signal's reason. No error holds the location or its credentials.
 */
export async function fetchImage(options: FetchOptions): Promise<FetchResult> {
  assertKey(options.key);
  options.signal.throwIfAborted();
  const fetch = new Fetch(options);
  try {
    const result = await fetch.run();
    await fetch.end(undefined);
    return result;
  } catch (error) {
    const closing = await fetch.end(error).then(
      () => undefined,
      (second: unknown) => ({ second }),
    );
    options.signal.throwIfAborted();
    const first = spoolError(error);
    // The spool's own trouble explains what came of it; any other error does not.
    if (!closing || isSpoolTrouble(first)) throw first;
    throw spoolError(closing.second);
  }
}
