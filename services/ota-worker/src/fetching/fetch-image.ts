/** Fetch a firmware image into the spool; resumes where an earlier try or a killed process stopped. */
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '@khumbu/shared/runtime/folders';
import { FetchError, isNoSpace, noSpace, ofTransfer, spoolError } from '@khumbu/steps/firmware-update/fetch-error';
import type { Downloaded } from '@khumbu/steps/firmware-update/image-ports';
import type { Opened, Validators } from '@khumbu/transfer/port';
import { createDownload } from '@khumbu/transfer/transfer';
import type { FetchOptions } from './fetch-options.js';
import { finishImage, tooLarge } from './finish-image.js';
import { PartFile } from './part-file.js';
import { assertKey, resumeDownload } from './resume-download.js';
import { newPaths } from './sidecar.js';
import { reservedBytes } from './space-reservation.js';

/** One fetch: what is held may change from response to response. */
class Fetch {
  readonly #options: FetchOptions;
  readonly #folder: string;
  readonly #images: string;
  readonly #open: ReturnType<typeof createDownload>;
  #part: PartFile | undefined;
  /** Bytes the spool lacks, as far as that is known. */
  #missing: number | undefined;

  constructor(options: FetchOptions) {
    this.#options = options;
    this.#folder = join(options.spoolDir, 'fetching');
    this.#images = join(options.spoolDir, 'images');
    this.#open = createDownload(options.location, options);
  }

  async run(): Promise<Downloaded> {
    const { key } = this.#options;
    await makeFolder(this.#folder);
    await makeFolder(this.#images);
    this.#goOnIn(await resumeDownload(this.#folder, key, this.#options));
    for (;;) {
      const result = await this.#requestOnce().catch((error: unknown) => this.#makeRoomFor(ofTransfer(error)));
      if (result) return result;
    }
  }

  /**
   * What is held stays for the next try, unless no try will follow or nothing can be built upon it. Without room for
   * the rest it would only keep the spool full.
   */
  async end(error: unknown): Promise<void> {
    if (isOfNoUse(error) || isNoSpace(spoolError(error))) return this.#part?.discard();
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
    this.#goOnIn(await resumeDownload(this.#folder, this.#options.key, this.#options));
  }

  #goOnIn(part: PartFile | undefined): void {
    this.#part = part;
    if (!part || !isResumable(part.held.validators)) return;
    const { validators, total } = part.held;
    const { path, labels } = part;
    this.#options.onPart?.({ path, validators, labels, ...(total === undefined ? {} : { total }) });
  }

  /** `undefined`: request again. Each further request follows bytes that were gained. */
  async #requestOnce(): Promise<Downloaded | undefined> {
    const { known, signal } = this.#options;
    const { offset = 0, ...held } = this.#part?.held ?? {};
    const tail = offset > 0 ? await this.#part?.tail() : undefined;
    const opened = await this.#open({ ...held, offset, known, signal, tail });
    if (opened.kind === 'unchanged') {
      await this.#part?.discard();
      return opened;
    }
    try {
      return await this.#use(opened);
    } finally {
      opened.drop();
    }
  }

  async #use(opened: OpenedBody): Promise<Downloaded | undefined> {
    if (opened.kind === 'whole') await this.#startAnew(opened);
    const part = this.#part;
    if (!part) throw new FetchError(true, 'bad_response', 'a partial answer to nothing');
    const { offset } = part.held;
    if (opened.kind === 'part' && opened.offset !== offset)
      throw new FetchError(true, 'bad_response', `a part from ${opened.offset} on, and ${offset} bytes are held`);
    part.total = opened.total;
    const { total } = part.held;
    if (opened.kind === 'part' && offset === total) return this.#publish();
    await this.#assertFits(total, offset, await reservedBytes(this.#folder, part.reservation, Date.now()));
    return this.#receive(opened, part);
  }

  /** What is held, if anything, is of other content. */
  async #startAnew({ total, validators, labels }: Extract<Opened, { kind: 'whole' }>): Promise<void> {
    await this.#part?.discard();
    this.#part = undefined;
    await this.#assertFits(total, 0);
    const { key, withMd5 } = this.#options;
    this.#goOnIn(await PartFile.create(newPaths(this.#folder, key), validators, total, labels, withMd5));
  }

  async #receive(opened: OpenedBody, part: PartFile): Promise<Downloaded | undefined> {
    const { maxBytes, onProgress } = this.#options;
    const before = part.held.offset;
    const { total } = part.held;
    let size = before;
    await opened.readBody((piece) => {
      size += piece.length;
      if (size > maxBytes) throw tooLarge(maxBytes);
      if (total !== undefined && size > total) throw wrongLength(size, total);
      part.append(piece);
      onProgress?.(size, total);
    });
    const { offset, validators } = part.held;
    if (total === undefined || offset === total) return this.#publish();
    // A server may send less than the range: request the rest while bytes come.
    if (opened.kind === 'part' && offset > before && isResumable(validators)) return undefined;
    throw new FetchError(true, 'cut', `the body ended after ${offset} of ${total} bytes`);
  }

  async #publish(): Promise<Downloaded> {
    const part = this.#part;
    if (!part) throw new FetchError(true, 'bad_response', 'nothing is held');
    const { validators, offset, total } = part.held;
    if (total !== undefined && offset !== total) throw wrongLength(offset, total);
    const { maxBytes, minBytes = 1, key, signal, withMd5 } = this.#options;
    const places = { paths: newPaths(this.#folder, key), imagesFolder: this.#images };
    return {
      kind: 'fetched',
      ...(await finishImage(part, { ...places, minBytes, maxBytes, signal, withMd5 })),
      ...validators,
    };
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

type OpenedBody = Exclude<Opened, { kind: 'unchanged' }>;

const isResumable = ({ etag, lastModified }: Validators): boolean => (etag ?? lastModified) !== undefined;

/** After these failures the held part is removed: the next try starts from nothing. */
const OF_NO_USE: readonly FetchError['reason'][] = [
  'wrong_length',
  'content_changed',
  'content_encoding',
  'empty',
  'too_small',
];

/** What a run that failed so holds is none of what the next try wants, or no try follows. Pure. */
export const isOfNoUse = (error: unknown): boolean =>
  error instanceof FetchError && (error.code === 'FETCH_PERMANENT' || OF_NO_USE.includes(error.reason));

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
