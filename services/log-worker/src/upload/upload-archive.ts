/** One try to bring a log archive to its target. */
import type { Readable } from 'node:stream';
import { isDoneAgain } from '@khumbu/operations/jobs/job-loop';
import {
  BYTES_METADATA,
  OPERATION_METADATA,
  SHA256_METADATA,
  type StoredArchive,
} from '@khumbu/operations/kinds/log-upload/archive-object';
import { type Location, parseLocation } from '@khumbu/shared/locations/location';
import type { ArchiveFormat, UploadTarget } from '@khumbu/shared/locations/upload-location';
import { onAbort, resolveWithin } from '@khumbu/shared/runtime/abort';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { fileBody } from '@khumbu/transfer/file-body';
import type { Mark, MultipartJournal, MultipartUpload, PutOptions, TransferContext } from '@khumbu/transfer/port';
import { bringTo } from '@khumbu/transfer/transfer';
import { TransferError } from '@khumbu/transfer/transfer-error';
import { toUploadError, UploadError } from './failure-status.js';
import { addToJournal, removeFromJournal, journalOf as spoolJournalOf } from './multipart-journal.js';
import { aside, type BringCopy, besideCopy, type CopyInput, type OwnCopy } from './own-copy.js';
import type { SharedJournal } from './shared-journal.js';
import { markSent, removeSpooled, sentBytes, sentPath, spoolArchive, spooledBytes, spoolPath } from './spool-file.js';

const CONTENT_TYPES: Readonly<Record<ArchiveFormat, string>> = { gzip: 'application/gzip', zstd: 'application/zstd' };
const contentTypeOf = ({ format = 'gzip' }: UploadArchiveInput): string => CONTENT_TYPES[format];

export interface UploadArchiveInput extends CopyInput {
  readonly target: UploadTarget;
  /** Called at most once, and only when no archive of the operation is spooled or stored yet. */
  readonly openArchive: () => Promise<Readable>;
  /** How the archive is compressed; gzip by default. */
  readonly format?: ArchiveFormat | undefined;
  readonly operationId: string;
  readonly spoolDir: string;
  /** Without `objects`, where the depot has none, an s3 target is `NotSupportedOperation`. */
  readonly context: TransferContext;
  /** Archive bytes the target has taken so far, of how many where that is known. */
  readonly onProgress?: (bytes: number, totalBytes?: number) => void;
  /** An error of the spool that does not change how the upload ends; what stays there is removed by the sweep. */
  readonly onSpoolError?: (error: unknown) => void;
  /** What workers with another spool have begun, and are told; by default they are not. */
  readonly shared?: SharedJournal;
  /** How the depot's store and HTTP servers get it. */
  readonly delivery?: Delivery;
}

export type Delivery = Pick<PutOptions, 'protection' | 'partBytes' | 'method'>;

export interface SentArchive {
  readonly bytes: number;
  /** Where it is, if in the object store. */
  readonly archive?: StoredArchive;
}

/** Work on the spool whose failure does not change how the upload ends. */
async function tidy({ onSpoolError }: UploadArchiveInput, work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => onSpoolError?.(error));
}

/** Which parts are in the store, for the worker that goes on after a kill. An error of the spool or of Redis does not end the upload. */
const journalOf = (input: UploadArchiveInput): MultipartJournal => {
  const { spoolDir, operationId, shared } = input;
  const both = async (spool: Promise<unknown>, redis: Promise<unknown> | undefined): Promise<void> => {
    await Promise.all([tidy(input, spool), redis && tidy(input, redis)]);
  };
  return {
    async noted() {
      const lists: MultipartUpload[][] = [];
      const read = async (list: Promise<MultipartUpload[]>): Promise<void> => void lists.push(await list);
      await both(read(spoolJournalOf(spoolDir, operationId)), shared && read(shared.of(operationId)));
      return Array.from(new Map(lists.flat().map((upload) => [upload.uploadId, upload])).values());
    },
    isGoneOnWith: isDoneAgain,
    begun: (upload) => both(addToJournal(spoolDir, operationId, upload), shared?.add({ operationId, upload })),
    ended: (upload) => both(removeFromJournal(spoolDir, operationId, upload), shared?.remove({ operationId, upload })),
  };
};

/** What names an archive wherever it is brought: a try after this one knows what it left there. */
const markOf = (operationId: string): Mark => ({
  name: OPERATION_METADATA,
  value: operationId,
  sha256Name: SHA256_METADATA,
  bytesName: BYTES_METADATA,
});

async function toObjectStore(
  input: UploadArchiveInput,
  { bucket, key }: Extract<UploadTarget, { kind: 's3' }>,
): Promise<SentArchive> {
  const { operationId, context, signal, onProgress, openArchive, copy } = input;
  if (copy) await aside(input, copy.begin());
  const { bytes, object } = await bringTo(
    { scheme: 's3', bucket, key, fragment: '' },
    { size: undefined, contentType: contentTypeOf(input), open: openArchive },
    {
      context,
      signal,
      onProgress,
      ...input.delivery,
      mark: markOf(operationId),
      journal: journalOf(input),
    },
  );
  if (copy && object) await aside(input, copy.keep({ bytes, ...object }));
  return { bytes, ...(object === undefined ? {} : { archive: { bucket, key, ...object } }) };
}

/** As `toObjectStore`, of a file that was spooled for another target. */
const bringCopy =
  (input: UploadArchiveInput, { bucket, key }: OwnCopy): BringCopy =>
  (body, signal) =>
    bringTo(
      { scheme: 's3', bucket, key, fragment: '' },
      { ...body, contentType: contentTypeOf(input) },
      {
        ...input.delivery,
        context: input.context,
        signal,
        mark: markOf(input.operationId),
        journal: journalOf(input),
      },
    );

/** For what an aborted upload does last, as removing parts; a server that does not answer is not waited for. */
const TIDY_MS = 500;

async function settledSoon<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let withdraw = (): void => undefined;
  const aborted = new Promise<void>((resolve) => {
    withdraw = onAbort(signal, resolve);
  }).then(() =>
    resolveWithin(
      work.then(
        () => undefined,
        () => undefined,
      ),
      TIDY_MS,
      undefined,
    ),
  );
  try {
    return await Promise.race([work, aborted.then((): Promise<never> => Promise.reject(signal.reason as Error))]);
  } finally {
    withdraw();
  }
}

type ServerTarget = Extract<UploadTarget, { kind: 'http' | 'files' }>;

/** Of a target: the policy has judged it as the location of the request. */
function locationOf({ url, credentials }: ServerTarget): Location {
  const parsed = parseLocation(url);
  if (!parsed.ok) throw new UploadError('BadMessage', parsed.reason, { reason: 'location_unusable' });
  return credentials === undefined ? parsed.location : ({ ...parsed.location, credentials } as Location);
}

/**
 * A spooled archive is kept while another try may follow: the station collects its logs once. One that was sent is kept as
 * a mark until the caller has committed the end of the upload and removes it: the server gets the archive once.
 */
async function sendSpooled(input: UploadArchiveInput, target: ServerTarget): Promise<SentArchive> {
  const { spoolDir, operationId, context, signal, onProgress } = input;
  let bytes: number;
  try {
    const body = await fileBody(spoolPath(spoolDir, operationId), contentTypeOf(input));
    const named = { ...body, fileName: target.fileName };
    const mark = markOf(operationId);
    const onSent = (sent: number): void => onProgress?.(Math.min(sent, body.size ?? sent), body.size);
    const options = { ...input.delivery, context, signal, onProgress: onSent, mark };
    ({ bytes } = await bringTo(locationOf(target), named, options));
  } catch (error) {
    const isUsed = (error instanceof TransferError && error.retryable) || isDoneAgain(signal.reason);
    if (!isUsed) await tidy(input, removeSpooled(spoolDir, operationId));
    throw error;
  }
  await tidy(input, markSent(spoolDir, operationId));
  return { bytes };
}

async function toServer(input: UploadArchiveInput, target: ServerTarget): Promise<SentArchive> {
  const { spoolDir, operationId, signal, copy } = input;
  const beside = (path: string, work: () => Promise<SentArchive>): Promise<SentArchive> =>
    copy ? besideCopy({ ...input, copy }, path, bringCopy(input, copy), work) : work();
  const sent = await sentBytes(spoolDir, operationId);
  // The worker that sent it was killed: perhaps before the copy was whole.
  if (sent !== undefined) return beside(sentPath(spoolDir, operationId), async () => ({ bytes: sent }));
  if ((await spooledBytes(spoolDir, operationId)) === undefined) {
    const archive = await input.openArchive();
    await spoolArchive({ archive, spoolDir, operationId, signal });
  }
  return beside(spoolPath(spoolDir, operationId), () => sendSpooled(input, target));
}

/**
 * Resolves with the archive's size once the target has all of it. Rejects with `UPLOAD_FAILED` (an `UploadError`: its
 * `status`, `reason`, `retryable`) or `ABORTED`. Safe to repeat: an object of the same operation is not sent again;
 * a PUT is repeated where its mark is missing, because the worker died in between or has another spool. A multipart upload
 * of an earlier try is gone on with, by whichever worker. After an abort it has settled within `TIDY_MS`: what is tidied up
 * later is known to the journal.
 */
export async function uploadArchive(input: UploadArchiveInput): Promise<SentArchive> {
  const { target, signal } = input;
  try {
    return await settledSoon(target.kind === 's3' ? toObjectStore(input, target) : toServer(input, target), signal);
  } catch (error) {
    if (signal.aborted) throw new CodedError('ABORTED', 'the upload was aborted', { cause: signal.reason });
    throw toUploadError(error);
  }
}
