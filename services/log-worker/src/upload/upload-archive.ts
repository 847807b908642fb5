/** One try to bring a log archive to its target. */
import type { LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';
import type { ObjectStore } from '@khumbu/object-store/object-store';
import { StoreError, type StoreErrorCode } from '@khumbu/object-store/store-error';
import { LOCK_LOST } from '@khumbu/operations/jobs/job-loop';
import type { UploadTarget } from '@khumbu/shared/locations/upload-location';
import { CodedError, hasCode } from '@khumbu/shared/runtime/errors';
import { toUploadError, UploadError } from './failure-status.js';
import { httpPut } from './http-put.js';
import { markSent, removeSpooled, sentBytes, spoolArchive, spooledBytes, spoolPath } from './spool-file.js';

const CONTENT_TYPE = 'application/gzip';
/** Object metadata that tells whose archive an object is. */
export const OPERATION_METADATA = 'khumbu-operation';

export interface UploadArchiveInput {
  readonly target: UploadTarget;
  /** Asked at most once, and only when the archive is not there already. */
  readonly openArchive: () => Promise<Readable>;
  readonly operationId: string;
  /** Undefined where the depot has none: then an s3 target is `NotSupportedOperation`. */
  readonly objectStore: ObjectStore | undefined;
  readonly spoolDir: string;
  /** Of the location policy; for http targets. */
  readonly lookup?: LookupFunction;
  /** PEM certificates to trust instead of the system's; for https targets. */
  readonly ca?: string;
  readonly signal?: AbortSignal;
  /** Milliseconds an http connection may make no progress. */
  readonly stallMs?: number;
  /** Archive bytes the target has taken so far. */
  readonly onProgress?: (bytes: number) => void;
}

/** What `S3_DENIED` hides from keys that may only write, and some stores cannot do, is not needed to upload. */
async function ifAllowed<T>(answer: Promise<T>, otherwise: T): Promise<T> {
  const harmless: readonly StoreErrorCode[] = ['S3_DENIED', 'S3_NOT_SUPPORTED'];
  try {
    return await answer;
  } catch (error) {
    if (error instanceof StoreError && harmless.includes(error.code)) return otherwise;
    throw error;
  }
}

async function toObjectStore(
  input: UploadArchiveInput,
  { bucket, key }: Extract<UploadTarget, { kind: 's3' }>,
): Promise<{ bytes: number }> {
  const { objectStore, operationId, signal, onProgress } = input;
  if (objectStore === undefined)
    throw new UploadError('NotSupportedOperation', 'no object store is configured; set S3_ENDPOINT');
  const found = await ifAllowed(objectStore.stat(bucket, key, signal), undefined);
  if (found?.metadata[OPERATION_METADATA] === operationId) return { bytes: found.bytes };
  await ifAllowed(objectStore.abortStaleUploads(bucket, key, signal), 0);
  const { bytes } = await objectStore.putStream({
    bucket,
    key,
    body: await input.openArchive(),
    contentType: CONTENT_TYPE,
    metadata: { [OPERATION_METADATA]: operationId },
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  return { bytes };
}

/**
 * A spooled archive outlives a try that may be repeated: the station is not asked twice. One that was sent leaves its
 * mark until the caller has stored so and removes it: the server is not sent it twice.
 */
async function toServer(
  input: UploadArchiveInput,
  target: Extract<UploadTarget, { kind: 'http' }>,
): Promise<{ bytes: number }> {
  const { spoolDir, operationId, lookup, ca, signal, stallMs, onProgress } = input;
  const sent = await sentBytes(spoolDir, operationId);
  if (sent !== undefined) return { bytes: sent };
  if ((await spooledBytes(spoolDir, operationId)) === undefined) {
    const archive = await input.openArchive();
    await spoolArchive({ archive, spoolDir, operationId, ...(signal === undefined ? {} : { signal }) });
  }
  try {
    const path = spoolPath(spoolDir, operationId);
    const { url, authorization } = target;
    const options = { authorization, lookup, ca, signal, stallMs, onProgress };
    const { bytes } = await httpPut({ url, path, contentType: CONTENT_TYPE, ...options });
    await markSent(spoolDir, operationId);
    return { bytes };
  } catch (error) {
    const isUsed = (error instanceof UploadError && error.retryable) || hasCode(signal?.reason, LOCK_LOST);
    if (!isUsed) await removeSpooled(spoolDir, operationId);
    throw error;
  }
}

/**
 * Resolves with the archive's size once the target has all of it. Rejects with `UPLOAD_FAILED` (an `UploadError`: its
 * `status`, `reason`, `retryable`) or `ABORTED`. Safe to repeat: an object of the same operation is not sent again;
 * a PUT is where its mark is missing: the worker died in between, or has another spool. An upload that a killed worker left in the object store under this key is ended first.
 */
export async function uploadArchive(input: UploadArchiveInput): Promise<{ bytes: number }> {
  const { target, signal } = input;
  try {
    return await (target.kind === 's3' ? toObjectStore(input, target) : toServer(input, target));
  } catch (error) {
    if (signal?.aborted) throw new CodedError('ABORTED', 'the upload was aborted', { cause: signal.reason });
    throw toUploadError(error);
  }
}
