/** Fetch a firmware image over HTTP into the spool; resumes where an earlier try or a killed process stopped. */
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { DEFAULT_USER_AGENT } from '@khumbu/shared/http/user-agent';
import { makeFolder } from '@khumbu/shared/runtime/folders';
import { FetchError, isNoSpace, noSpace, spoolError } from '@khumbu/steps/firmware-update/fetch-error';
import type { Downloaded, Validators } from '@khumbu/steps/firmware-update/image-ports';
import { fileNamesOf, type Labels } from '@khumbu/transfer/labels';
import { conditionalHeaders, decideResponse, type Held, isUnconditional, mayRefuseTheRange } from './content-range.js';
import type { FetchOptions } from './fetch-options.js';
import { finishImage, tooLarge } from './finish-image.js';
import { explain, type HttpGetResponse, httpGet } from './http-get.js';
import { PartFile } from './part-file.js';
import { assertKey, resumeDownload } from './resume-download.js';
import { Session } from './session.js';
import { newPaths } from './sidecar.js';
import { reservedBytes } from './space-reservation.js';

/** One fetch: what is held may change from response to response. */
class Fetch {
  readonly #options: FetchOptions;
  readonly #folder: string;
  readonly #images: string;
  readonly #session = new Session();
  #part: PartFile | undefined;
  /** A range or a condition may have been refused: one request without them follows. */
  #isPlain = false;
  /** Bytes the spool lacks, as far as that is known. */
  #missing: number | undefined;

  constructor(options: FetchOptions) {
    this.#options = options;
    this.#folder = join(options.spoolDir, 'fetching');
    this.#images = join(options.spoolDir, 'images');
  }

  async run(): Promise<Downloaded> {
    const { key, signal } = this.#options;
    await makeFolder(this.#folder);
    await makeFolder(this.#images);
    this.#part = await resumeDownload(this.#folder, key, signal);
    for (;;) {
      const result = await this.#requestOnce().catch((error: unknown) => this.#makeRoomFor(error));
      if (result) return result;
    }
  }

  /**
   * What is held stays for the next try, unless no try will follow or nothing can be built upon it. Without room for
   * the rest it would only keep the spool full.
   */
  async end(error: unknown): Promise<void> {
    const isLost =
      error instanceof FetchError && (error.code === 'FETCH_PERMANENT' || OF_NO_USE.includes(error.reason));
    if (isLost || isNoSpace(spoolError(error))) return this.#part?.discard();
    try {
      await this.#part?.close();
    } catch (closing) {
      await this.#part?.discard();
      throw closing;
    }
  }

  /** Request again if there is room now: each further request follows bytes that were freed. */
  async #makeRoomFor(error: unknown): Promise<undefined> {
    const full = spoolError(error);
    if (!isNoSpace(full)) throw error;
    const freed = (await this.#options.makeRoom?.(this.#missing ?? Number.POSITIVE_INFINITY)) ?? 0;
    this.#missing = undefined;
    if (freed === 0) throw full;
    // What cannot be kept is fetched again.
    await this.#part?.close().catch(() => this.#part?.discard());
    this.#part = await resumeDownload(this.#folder, this.#options.key, this.#options.signal);
  }

  /**
   * `undefined`: request again. Each further request drops what is held, follows bytes that were gained, or is the one without
   * range and condition.
   */
  async #requestOnce(): Promise<Downloaded | undefined> {
    const held = this.#isPlain ? undefined : this.#part?.held;
    const known = this.#isPlain ? undefined : this.#options.known;
    const conditions = conditionalHeaders(held, known);
    const isConditional = !isUnconditional(conditions);
    const answer = await this.#send(conditions).catch((error: unknown) => {
      // Some servers close the connection or redirect elsewhere when they do not support ranges.
      if (isConditional && error instanceof FetchError && WITHOUT_ANSWER.includes(error.reason)) return undefined;
      throw error;
    });
    if (!answer) {
      this.#isPlain = true;
      return undefined;
    }
    try {
      const isAnswered = answer.status === 416 && held !== undefined;
      if (isConditional && !isAnswered && mayRefuseTheRange(answer, conditions)) {
        this.#isPlain = true;
        return undefined;
      }
      return await this.#use(answer, held, known);
    } finally {
      answer.drop();
    }
  }

  #send(conditions: Readonly<Record<string, string>>): Promise<HttpGetResponse> {
    const { location, policy, proxy, stallMs, signal, headers, ca, userAgent = DEFAULT_USER_AGENT } = this.#options;
    return httpGet(location, {
      policy,
      session: this.#session,
      proxy,
      headers: { 'user-agent': userAgent, ...conditions },
      originHeaders: headers,
      ca,
      stallMs,
      signal,
    });
  }

  async #use(
    answer: HttpGetResponse,
    held: Held | undefined,
    known: Validators | undefined,
  ): Promise<Downloaded | undefined> {
    const names = [...fileNamesOf(new URL(this.#options.location)), ...fileNamesOf(answer.url)];
    const decision = decideResponse(answer, held, known, Date.now(), names);
    switch (decision.kind) {
      case 'fail': {
        const retryable = decision.retryable || (this.#options.retryableStatuses?.includes(answer.status) ?? false);
        throw new FetchError(retryable, decision.reason, explain(answer, decision.reason), decision);
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
      case 'start_anew': {
        const before = this.#part?.held;
        await this.#part?.discard();
        this.#part = undefined;
        await this.#assertFits(decision.total, 0);
        this.#part = await PartFile.create(
          newPaths(this.#folder, this.#options.key),
          decision.validators,
          decision.total,
          { ...decision.labels, ...sizeBefore(before, decision) },
        );
        break;
      }
    }
    const part = this.#part;
    if (!part) throw new FetchError(true, 'bad_response', 'a partial answer to nothing');
    part.total = decision.total;
    await this.#assertFits(
      decision.total,
      part.held.offset,
      await reservedBytes(this.#folder, part.reservation, Date.now()),
    );
    return this.#receive(answer, part);
  }

  async #receive(answer: HttpGetResponse, part: PartFile): Promise<Downloaded | undefined> {
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
    // A server may send less than the range: request the rest while bytes come.
    const isResumable = (validators.etag ?? validators.lastModified) !== undefined;
    if (answer.status === 206 && offset > before && isResumable) return undefined;
    throw new FetchError(true, 'cut', `the body ended after ${offset} of ${total} bytes`);
  }

  async #publish(): Promise<Downloaded> {
    const part = this.#part;
    if (!part) throw new FetchError(true, 'bad_response', 'nothing is held');
    const { validators, offset, total } = part.held;
    if (total !== undefined && offset !== total) throw wrongLength(offset, total);
    const { maxBytes, minBytes = 1, key, signal } = this.#options;
    const places = { paths: newPaths(this.#folder, key), imagesFolder: this.#images };
    return { kind: 'fetched', ...(await finishImage(part, { ...places, minBytes, maxBytes, signal })), ...validators };
  }

  async #assertFits(total: number | undefined, offset: number, reserved = 0): Promise<void> {
    const { maxBytes } = this.#options;
    if (total === undefined) return;
    if (total > maxBytes) throw tooLarge(maxBytes);
    const disk = await statfs(this.#folder);
    const missing = total - offset + reserved - disk.bavail * disk.bsize;
    if (missing <= 0) return;
    this.#missing = missing;
    const others = reserved > 0 ? ` while other downloads still need ${reserved}` : '';
    throw noSpace(`the spool folder has no room for ${total - offset} more bytes${others}, it lacks ${missing}`);
  }
}

/** A strong ETag stands for the same bytes: another size is a coding that was put on, or a server that is wrong. */
const sizeBefore = (before: Held | undefined, { validators, total }: Pick<Held, 'validators' | 'total'>): Labels =>
  before?.total !== undefined &&
  before.total !== total &&
  validators.etag !== undefined &&
  before.validators.etag === validators.etag
    ? { sizeBefore: before.total }
    : {};

/** Failures without a response. */
const WITHOUT_ANSWER: readonly FetchError['reason'][] = [
  'cut',
  'bad_response',
  'too_many_redirects',
  'location_refused',
  'scheme_unsupported',
];
/** After these failures the held part is removed: the next try starts from nothing. */
const OF_NO_USE: readonly FetchError['reason'][] = ['wrong_length', 'content_encoding', 'empty', 'too_small'];

const wrongLength = (size: number, total: number) =>
  new FetchError(true, 'wrong_length', `the image has ${size} bytes, not ${total} as announced`);

const isSpoolError = (error: unknown): boolean =>
  error instanceof FetchError && (error.reason === 'no_space' || error.reason === 'spool_unusable');

/**
 * One try to fetch an image. Safe to repeat, to abort and to kill at any time; of several runs with one key the last
 * to start wins and the others fail with `superseded`. Redirects, ranges and new starts within the try are its own.
 *
 * Throws `FETCH_RETRYABLE` or `FETCH_PERMANENT` (`FetchError`, with `reason` and `retryAfterS`), `FETCH_KEY_INVALID`,
 * or the signal's reason. No error holds the location or its credentials.
 */
export async function fetchImage(options: FetchOptions): Promise<Downloaded> {
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
    // An error of the spool is the cause of the second one; any other error is not.
    if (!closing || isSpoolError(first)) throw first;
    throw spoolError(closing.second);
  }
}
