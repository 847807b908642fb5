/** One try to bring a log archive to its target. */
import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import type { ObjectStore } from '@khumbu/object-store/object-store';
import { StoreError, type StoreErrorCode } from '@khumbu/object-store/store-error';
import { LOCK_LOST } from '@khumbu/operations/jobs/job-loop';
import {
  OPERATION_METADATA,
  SHA256_METADATA,
  type StoredArchive,
} from '@khumbu/operations/kinds/log-upload/archive-object';
import type { UploadTarget } from '@khumbu/shared/locations/upload-location';
import { CodedError, hasCode } from '@khumbu/shared/runtime/errors';
import { toUploadError, UploadError } from './failure-status.js';
import { type HttpPutInput, httpPut } from './http-put.js';
import { addToJournal, clearJournal, type MultipartUpload, removeFromJournal } from './multipart-journal.js';
import { markSent, removeSpooled, sentBytes, spoolArchive, spooledBytes, spoolPath } from './spool-file.js';

const CONTENT_TYPE = 'application/gzip';

export interface UploadArchiveInput {
  readonly target: UploadTarget;
  /** Called at most once, and only when no archive of the operation is spooled or stored yet. */
  readonly openArchive: () => Promise<Readable>;
  readonly operationId: string;
  /** Undefined where the depot has none: then an s3 target is `NotSupportedOperation`. */
  readonly objectStore: ObjectStore | undefined;
  readonly spoolDir: string;
  /** For http targets. */
  readonly http?: Pick<HttpPutInput, 'lookup' | 'ca' | 'userAgent' | 'proxy' | 'stallMs'>;
  readonly signal?: AbortSignal;
  /** Archive bytes the target has taken so far. */
  readonly onProgress?: (bytes: number) => void;
  /** An error of the spool that does not change how the upload ends; what stays there is removed by the sweep. */
  readonly onSpoolError?: (error: unknown) => void;
}

export interface SentArchive {
  readonly bytes: number;
  /** Where it is, if in the object store. */
  readonly archive?: StoredArchive;
}

/** Keys that may only write get `S3_DENIED`, and some stores lack the call: neither is needed to upload. */
async function ifAllowed<T>(answer: Promise<T>, otherwise: T): Promise<T> {
  const harmless: readonly StoreErrorCode[] = ['S3_DENIED', 'S3_NOT_SUPPORTED'];
  try {
    return await answer;
  } catch (error) {
    if (error instanceof StoreError && harmless.includes(error.code)) return otherwise;
    throw error;
  }
}

/** Work on the spool whose failure does not change how the upload ends. */
async function tidy({ onSpoolError }: UploadArchiveInput, work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => onSpoolError?.(error));
}

async function toObjectStore(
  input: UploadArchiveInput,
  { bucket, key }: Extract<UploadTarget, { kind: 's3' }>,
): Promise<SentArchive> {
  const { objectStore, operationId, spoolDir, signal, onProgress } = input;
  if (objectStore === undefined)
    throw new UploadError('NotSupportedOperation', 'no object store is configured; set S3_ENDPOINT');
  const found = await ifAllowed(objectStore.stat(bucket, key, signal), undefined);
  if (found?.metadata[OPERATION_METADATA] === operationId) {
    await tidy(input, clearJournal(spoolDir, operationId));
    const sha256 = found.metadata[SHA256_METADATA];
    const archive = { bucket, key, etag: found.etag, ...(sha256 === undefined ? {} : { sha256 }) };
    return { bytes: found.bytes, archive };
  }
  const stale = await ifAllowed(objectStore.abortStaleUploads(bucket, key, signal), undefined);
  // The uploads of earlier tries were among them.
  if (stale !== undefined) await tidy(input, clearJournal(spoolDir, operationId));
  let upload: MultipartUpload | undefined;
  const endEntry = async (): Promise<void> => {
    if (upload) await tidy(input, removeFromJournal(spoolDir, operationId, upload));
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
    async onInitiated(uploadId) {
      upload = { bucket, key, uploadId };
      await tidy(input, addToJournal(spoolDir, operationId, upload));
    },
    onAborted: endEntry,
    ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  await endEntry();
  return { bytes, archive: { bucket, key, etag, sha256: sha256() } };
}

/**
 * A spooled archive is kept while another try may follow: the station collects its logs once. One that was sent is kept as
 * a mark until the caller has committed the end of the upload and removes it: the server gets the archive once.
 */
async function toServer(
  input: UploadArchiveInput,
  target: Extract<UploadTarget, { kind: 'http' }>,
): Promise<SentArchive> {
  const { spoolDir, operationId, http, signal, onProgress } = input;
  const sent = await sentBytes(spoolDir, operationId);
  if (sent !== undefined) return { bytes: sent };
  if ((await spooledBytes(spoolDir, operationId)) === undefined) {
    const archive = await input.openArchive();
    await spoolArchive({ archive, spoolDir, operationId, ...(signal === undefined ? {} : { signal }) });
  }
  const path = spoolPath(spoolDir, operationId);
  const { url, credentials } = target;
  let bytes: number;
  try {
    ({ bytes } = await httpPut({ ...http, url, credentials, path, contentType: CONTENT_TYPE, signal, onProgress }));
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
 * a PUT is repeated where its mark is missing, because the worker died in between or has another spool. A multipart upload
 * that a killed worker left in the object store under this key is aborted first.
 */
export async function uploadArchive(input: UploadArchiveInput): Promise<SentArchive> {
  const { target, signal } = input;
  try {
    return await (target.kind === 's3' ? toObjectStore(input, target) : toServer(input, target));
  } catch (error) {
    if (signal?.aborted) throw new CodedError('ABORTED', 'the upload was aborted', { cause: signal.reason });
    throw toUploadError(error);
  }
}
