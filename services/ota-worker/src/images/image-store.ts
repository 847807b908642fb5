/**
 * Where images are kept for every ota-worker, by their SHA-256. An image counts as downloaded only when any worker can
 * read it: with a shared spool that is so at once, else after the copy to the object store.
 */
import { stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectStore } from '@khumbu/object-store/object-store';
import type { StoredImage } from '@khumbu/operations/firmware-update/record';
import { CodedError, hasCode } from '@khumbu/shared/runtime/errors';
import { makeFolder } from '@khumbu/shared/runtime/folders';
import { isNoSpace, spoolError } from '../fetching/fetch-error.js';
import { SharedWork } from './shared-work.js';

export interface ImageStore {
  /** Make an image that was fetched into the spool readable for all. Safe to repeat. */
  keep(image: StoredImage, signal: AbortSignal): Promise<void>;
  /** A local file with the image. Rejects with `IMAGE_MISSING` when nobody has it any more. */
  open(image: StoredImage, signal: AbortSignal): Promise<string>;
  has(image: StoredImage, signal: AbortSignal): Promise<boolean>;
}

/** As `open`; `undefined` when nobody has it any more. */
export async function openUnlessLost(
  images: ImageStore,
  image: StoredImage,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    return await images.open(image, signal);
  } catch (error) {
    if (hasCode(error, 'IMAGE_MISSING')) return undefined;
    throw error;
  }
}

const pathIn = (spoolDir: string, { sha256 }: StoredImage): string => join(spoolDir, 'images', sha256);

async function isInSpool(spoolDir: string, image: StoredImage): Promise<boolean> {
  try {
    return (await stat(pathIn(spoolDir, image))).size === image.sizeBytes;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** What was asked for just now is young again: it does not make room for others (`sweep.ts`). */
async function renew(path: string): Promise<void> {
  const now = new Date();
  try {
    await utimes(path, now, now);
  } catch (error) {
    // Where nothing can be written, nothing is removed either.
    if (!hasCode(error, 'ENOENT', 'EROFS', 'EACCES', 'EPERM')) throw error;
  }
}

/** All workers share the spool folder. */
export function sharedSpool(spoolDir: string): ImageStore {
  return {
    keep: async () => undefined,
    async has(image) {
      await renew(pathIn(spoolDir, image));
      return isInSpool(spoolDir, image);
    },
    async open(image) {
      if (await isInSpool(spoolDir, image)) return pathIn(spoolDir, image);
      throw new CodedError('IMAGE_MISSING', 'the image is not in the spool any more');
    },
  };
}

const KEPT_BELOW = 'firmware/sha256/';
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

/** Each worker has a spool of its own, which is only a cache. `makeRoom`: as in `FetchOptions`. */
export function objectStoreImages(
  spoolDir: string,
  objects: ObjectStore,
  bucket: string,
  makeRoom: (bytes: number) => Promise<number>,
): ImageStore {
  const key = ({ sha256 }: StoredImage): string => `${KEPT_BELOW}${sha256}`;
  const isKept = async (image: StoredImage, signal: AbortSignal): Promise<boolean> =>
    (await objects.stat(bucket, key(image), signal))?.bytes === image.sizeBytes;
  const opening = new SharedWork<string>();

  const get = async (image: StoredImage, signal: AbortSignal): Promise<void> => {
    try {
      await makeFolder(join(spoolDir, 'images'));
      await objects.getToFile({ bucket, key: key(image), path: pathIn(spoolDir, image), signal });
    } catch (error) {
      throw spoolError(error);
    }
  };
  const bring = async (image: StoredImage, signal: AbortSignal): Promise<string> => {
    const path = pathIn(spoolDir, image);
    if (await isInSpool(spoolDir, image)) return path;
    if (!(await isKept(image, signal))) {
      throw new CodedError('IMAGE_MISSING', 'the image is not in the object store any more');
    }
    try {
      await get(image, signal);
    } catch (error) {
      if (!isNoSpace(error) || (await makeRoom(image.sizeBytes)) === 0) throw error;
      await get(image, signal);
    }
    return path;
  };

  return {
    async keep(image, signal) {
      if (await isKept(image, signal)) return;
      const contentType = 'application/octet-stream';
      await objects.putFile({ bucket, key: key(image), path: pathIn(spoolDir, image), contentType, signal });
    },
    has: isKept,
    // Fifty stations may want it at once.
    open: (image, signal) => opening.get(image.sha256, signal, (shared) => bring(image, shared)),
  };
}
