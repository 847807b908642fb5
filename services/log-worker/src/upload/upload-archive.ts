/** One try to bring a log archive to its target. */
import { createHash } from 'node:crypto';
import type { LookupFunction } from 'node:net';
import type { Readable } from 'node:stream';
import type { ObjectStore } from '@khumbu/object-store/object-store';
import { StoreError, type StoreErrorCode } from '@khumbu/object-store/store-error';
import { LOCK_LOST } from '@khumbu/operations/jobs/job-loop';
import {
  OPERATION_METADATA,
  SHA256_METADATA,
  type StoredArchive,
} from '@khumbu/operations/kinds/log-upload/archive-object';
import type { ProxyRules } from '@khumbu/shared/http/forward-proxy';
import type { UploadTarget } from '@khumbu/shared/locations/upload-location';
import { CodedError, hasCode } from '@khumbu/shared/runtime/errors';
import { type BegunUpload, forgetAllBegun, forgetBegun, rememberBegun } from './begun-uploads.js';
import { toUploadError, UploadError } from './failure-status.js';
import { httpPut } from './http-put.js';
import { markSent, removeSpooled, sentBytes, spoolArchive, spooledBytes, spoolPath } from './spool-file.js';

const CONTENT_TYPE = 'application/gzip';

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
  /** For http targets. */
  readonly userAgent?: string;
  /** For http targets. */
  readonly proxy?: ProxyRules;
  readonly signal?: AbortSignal;
  /** Milliseconds an http connection may make no progress. */
  readonly stallMs?: number;
  /** Archive bytes the target has taken so far. */
  readonly onProgress?: (bytes: number) => void;
  /** The object store has it. */
  readonly onStored?: (archive: StoredArchive) => void;
  /** The spool refuses what no longer decides how the upload ends; what stays in it is swept. */
  readonly onSpoolTrouble?: (error: unknown) => void;
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

/** For what no longer decides how the upload ends. */
async function tidy({ onSpoolTrouble }: UploadArchiveInput, work: Promise<void>): Promise<void> {
  await work.catch((error: unknown) => onSpoolTrouble?.(error));
}

async function toObjectStore(
  input: UploadArchiveInput,
  { bucket, key }: Extract<UploadTarget, { kind: 's3' }>,
): Promise<{ bytes: number }> {
  const { objectStore, operationId, spoolDir, signal, onProgress } = input;
  if (objectStore === undefined)
    throw new UploadError('NotSupportedOperation', 'no object store is configured; set S3_ENDPOINT');
  const found = await ifAllowed(objectStore.stat(bucket, key, signal), undefined);
  if (found?.metadata[OPERATION_METADATA] === operationId) {
    await tidy(input, forgetAllBegun(spoolDir, operationId));
    const sha256 = found.metadata[SHA256_METADATA];
    input.onStored?.({ bucket, key, etag: found.etag, ...(sha256 === undefined ? {} : { sha256 }) });
    return { bytes: found.bytes };
  }
  const stale = await ifAllowed(objectStore.abortStaleUploads(bucket, key, signal), undefined);
  // Those of earlier tries were among them.
  if (stale !== undefined) await tidy(input, forgetAllBegun(spoolDir, operationId));
  let begun: BegunUpload | undefined;
  const forget = async (): Promise<void> => {
    if (begun) await tidy(input, forgetBegun(spoolDir, operationId, begun));
  };
  const hash = createHash('sha256');
  let digest: string | undefined;
  const sha256 = (): string => {
    digest ??= hash.digest('hex');
    return digest;
  };
  const { bytes, etag } = await objectStore.putStream({
    bucket,
    key,
    body: await input.openArchive(),
    onRead: (piece) => void hash.update(piece),
    contentType: CONTENT_TYPE,
    metadata: { [OPERATION_METADATA]: operationId },
    metadataOfWhole: () => ({ [SHA256_METADATA]: sha256() }),
    async onBegun(uploadId) {
      begun = { bucket, key, uploadId };
      await tidy(input, rememberBegun(spoolDir, operationId, begun));
    },
    onDiscarded: () => forget(),
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  await forget();
  input.onStored?.({ bucket, key, etag, sha256: sha256() });
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
  const { spoolDir, operationId, lookup, ca, userAgent, proxy, signal, stallMs, onProgress } = input;
  const sent = await sentBytes(spoolDir, operationId);
  if (sent !== undefined) return { bytes: sent };
  if ((await spooledBytes(spoolDir, operationId)) === undefined) {
    const archive = await input.openArchive();
    await spoolArchive({ archive, spoolDir, operationId, ...(signal === undefined ? {} : { signal }) });
  }
  const path = spoolPath(spoolDir, operationId);
  const { url, credentials } = target;
  const options = { credentials, lookup, ca, userAgent, proxy, signal, stallMs, onProgress };
  let bytes: number;
  try {
    ({ bytes } = await httpPut({ url, path, contentType: CONTENT_TYPE, ...options }));
  } catch (error) {
    const isUsed = (error instanceof UploadError && error.retryable) || hasCode(signal?.reason, LOCK_LOST);
    if (!isUsed) await tidy(input, removeSpooled(spoolDir, operationId));
    throw error;
  }
  await tidy(input, markSent(spoolDir, operationId));
  return { bytes };
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
