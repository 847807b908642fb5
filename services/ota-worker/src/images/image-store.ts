/**
 * Where images are kept for every ota-worker, by their SHA-256. An image counts as downloaded only when any worker can
 * read it: with a shared spool that is so at once, else after the copy to the object store.
 */
import { rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { KEPT_BELOW, keyOf, SHA256_METADATA } from '@khumbu/artifacts/store-place';
import type { ObjectStore } from '@khumbu/object-store/object-store';
import type { StoredImage } from '@khumbu/operations/kinds/firmware-update/record';
import { CodedError, hasCode, ifExists } from '@khumbu/shared/runtime/errors';
import { makeFolder } from '@khumbu/shared/runtime/folders';
import { isNoSpace, spoolError } from '@khumbu/steps/firmware-update/fetch-error';
import type { ImageChecks, ImageStore, ReadAnew } from '@khumbu/steps/firmware-update/image-ports';
import { createImageChecks, identityOf } from './image-checks.js';
import { SharedWork } from './shared-work.js';
import { NEW_MS } from './sweep.js';

const pathIn = (spoolDir: string, { sha256 }: StoredImage): string => join(spoolDir, 'images', sha256);

const isInSpool = async (spoolDir: string, image: StoredImage): Promise<boolean> =>
  (await ifExists(stat(pathIn(spoolDir, image))))?.size === image.sizeBytes;

/**
 * An image that was requested now counts as new: it is not removed to make room for others (`sweep.ts`). One that is new stays
 * as it is, for with another time it would be a file that nobody has read (`image-checks.ts`), and would be read again.
 */
async function renew(path: string): Promise<void> {
  const found = await ifExists(stat(path));
  if (!found) return;
  const now = new Date();
  const ageMs = now.getTime() - found.mtimeMs;
  // What is of tomorrow was made by a clock that was ahead. Times of files are finer than those of clocks.
  if (Math.abs(ageMs) < NEW_MS) return;
  try {
    await utimes(path, now, now);
  } catch (error) {
    // Where nothing can be written, nothing is removed either.
    if (!hasCode(error, 'ENOENT', 'EROFS', 'EACCES', 'EPERM')) throw error;
  }
}

type Checks = Pick<ImageChecks, 'matches'>;
type How = [signal: AbortSignal, how?: ReadAnew];

export interface ImageStoreOptions {
  readonly checks?: Checks;
  /** Something else was kept under the name of an image; it was removed. */
  readonly onCorrupt?: (image: StoredImage) => void;
}

/** Whether a file is the image; one that its disk cannot read is none. */
async function isImage(checks: Checks, path: string, { sha256 }: StoredImage, ...how: How): Promise<boolean> {
  try {
    return await checks.matches(path, sha256, ...how);
  } catch (error) {
    if (hasCode(error, 'EIO')) return false;
    throw error;
  }
}

/** The identity of the file of an image that is another one than it was, whether or not that shows. */
async function changedFile(
  checks: Checks,
  spoolDir: string,
  image: StoredImage,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!(await isInSpool(spoolDir, image))) return undefined;
  const path = pathIn(spoolDir, image);
  const identity = await ifExists(identityOf(path));
  const isChanged = (await ifExists(isImage(checks, path, image, signal, { anew: true }))) === false;
  return isChanged ? identity : undefined;
}

/** All workers share the spool folder. What `open` resolves with has the SHA-256 of the image: read again if it was touched. */
export function sharedSpool(
  spoolDir: string,
  { checks = createImageChecks(), onCorrupt }: ImageStoreOptions = {},
): ImageStore {
  const missing = (why: string): CodedError => new CodedError('IMAGE_MISSING', why);
  return {
    keep: async () => undefined,
    async has(image) {
      await renew(pathIn(spoolDir, image));
      return isInSpool(spoolDir, image);
    },
    async open(image, ...how) {
      const path = pathIn(spoolDir, image);
      for (;;) {
        if (!(await isInSpool(spoolDir, image))) throw missing('the image is not in the spool any more');
        const identity = await ifExists(identityOf(path));
        const isWhole = identity !== undefined && (await ifExists(isImage(checks, path, image, ...how)));
        if (isWhole) return path;
        // Another worker may have put it there anew, or taken it away.
        if (identity === undefined || (await ifExists(identityOf(path))) !== identity) continue;
        await rm(path, { force: true });
        onCorrupt?.(image);
        throw missing('the spool had other content under the name of the image');
      }
    },
  };
}

/** Longer than any copy takes, and than any clock is wrong. */
const COPY_MS = 24 * 3600_000;

/**
 * End the copies into the object store that killed workers began: their parts are invisible and cost. `now` in
 * milliseconds since 1970; resolves with their number. Rejects as `ObjectStore.abortUploadsBefore`. Safe to repeat.
 */
export const endStaleCopies = (
  objects: Pick<ObjectStore, 'abortUploadsBefore'>,
  bucket: string,
  now: number,
): Promise<number> => objects.abortUploadsBefore(bucket, KEPT_BELOW, now - COPY_MS);

const MOST_VERIFIED = 256;

/** What was found out about files of images, each as it was then. */
class SeenFiles {
  readonly #verified = new Map<string, string>();
  /** No image any more, or not to be read: whatever was known of them before. */
  readonly #refused = new Map<string, string>();

  verify(path: string, identity: string): void {
    if (this.#verified.size >= MOST_VERIFIED) this.#verified.clear();
    this.#verified.set(path, identity);
    this.#refused.delete(path);
  }

  refuse(path: string, identity: string): void {
    this.#verified.delete(path);
    this.#refused.set(path, identity);
  }

  /** `undefined`: it has to be read. */
  isImage(path: string, identity: string): boolean | undefined {
    if (this.#refused.get(path) === identity) return false;
    return this.#verified.get(path) === identity ? true : undefined;
  }
}

/**
 * Each worker has a spool of its own, which is only a cache. `makeRoom`: as in `FetchOptions`. What `open` resolves with
 * has the SHA-256 of the image: found out while it is brought, and again when the file was touched since.
 */
export function objectStoreImages(
  spoolDir: string,
  objects: ObjectStore,
  bucket: string,
  makeRoom: (bytes: number) => Promise<number>,
  { checks = createImageChecks(), onCorrupt }: ImageStoreOptions = {},
): ImageStore {
  const key = ({ sha256 }: StoredImage): string => keyOf(sha256);
  const opening = new SharedWork<string>();
  const seen = new SeenFiles();

  /** By the metadata of its object; `isMarked`: they name this image, which those of version 0.1.0 do not. */
  const find = async (image: StoredImage, signal: AbortSignal): Promise<{ isKept: boolean; isMarked: boolean }> => {
    const found = await objects.stat(bucket, key(image), signal);
    const mark = found?.metadata[SHA256_METADATA];
    const isKept = found?.bytes === image.sizeBytes && (mark === undefined || mark === image.sha256);
    return { isKept, isMarked: isKept && mark === image.sha256 };
  };

  const get = async (image: StoredImage, signal: AbortSignal): Promise<void> => {
    const { sha256 } = image;
    try {
      await makeFolder(join(spoolDir, 'images'));
      await objects.getToFile({ bucket, key: key(image), path: pathIn(spoolDir, image), sha256, signal });
    } catch (error) {
      throw spoolError(error);
    }
  };
  const getWithRoom = async (image: StoredImage, signal: AbortSignal): Promise<void> => {
    try {
      await get(image, signal);
    } catch (error) {
      if (!isNoSpace(error) || (await makeRoom(image.sizeBytes)) === 0) throw error;
      await get(image, signal);
    }
  };
  /** An object that arrives damaged is read once more; one that is damaged in the store is removed, to be fetched again. */
  const getWhole = async (image: StoredImage, signal: AbortSignal): Promise<void> => {
    try {
      await getWithRoom(image, signal).catch((error: unknown) => {
        if (!hasCode(error, 'S3_CORRUPT')) throw error;
        return getWithRoom(image, signal);
      });
    } catch (error) {
      if (!hasCode(error, 'S3_CORRUPT')) throw error;
      await objects.remove(bucket, key(image), signal);
      onCorrupt?.(image);
      throw new CodedError('IMAGE_MISSING', 'the object store had other content under the name of the image', {
        cause: error,
      });
    }
  };

  /** The file of an earlier time, if it is still the image. */
  const isHereWhole = async (image: StoredImage, signal: AbortSignal): Promise<boolean> => {
    if (!(await isInSpool(spoolDir, image))) return false;
    const path = pathIn(spoolDir, image);
    const identity = await identityOf(path);
    const isKnown = seen.isImage(path, identity);
    if (isKnown !== undefined) return isKnown;
    if (!(await isImage(checks, path, image, signal))) return false;
    seen.verify(path, identity);
    return true;
  };

  const bring = async (image: StoredImage, signal: AbortSignal): Promise<string> => {
    const path = pathIn(spoolDir, image);
    if (await isHereWhole(image, signal)) return path;
    if (!(await find(image, signal)).isKept) {
      throw new CodedError('IMAGE_MISSING', 'the image is not in the object store any more');
    }
    await getWhole(image, signal);
    seen.verify(path, await identityOf(path));
    return path;
  };

  return {
    async keep(image, signal) {
      if ((await find(image, signal)).isMarked) return;
      const contentType = 'application/octet-stream';
      const metadata = { [SHA256_METADATA]: image.sha256 };
      await objects.putFile({ bucket, key: key(image), path: pathIn(spoolDir, image), contentType, metadata, signal });
    },
    has: async (image, signal) => (await find(image, signal)).isKept,
    async open(image, signal, how) {
      const changed = how?.anew === true ? await changedFile(checks, spoolDir, image, signal) : undefined;
      if (changed !== undefined) seen.refuse(pathIn(spoolDir, image), changed);
      for (;;) {
        // Fifty stations may want it at once.
        const path = await opening.get(image.sha256, signal, (shared) => bring(image, shared));
        // It may have been found to be here before this read had refused it.
        if (changed === undefined || (await ifExists(identityOf(path))) !== changed) return path;
      }
    },
  };
}
