/** One object brought to the depot's own store, from the parts that an earlier try has left there if there are any. */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { ObjectFacts } from '@khumbu/object-store/object-store';
import { StoreError, type StoreErrorCode } from '@khumbu/object-store/store-error';
import type { UnfinishedUpload } from '@khumbu/object-store/unfinished-uploads';
import type { BucketLocation } from '@khumbu/shared/locations/location';
import type {
  Brought,
  Mark,
  MultipartJournal,
  MultipartUpload,
  PutOptions,
  StoreForTransfers,
  UploadBody,
} from '../../port.js';

/** Keys that may only write get `S3_DENIED`, and some stores lack the call: neither is needed to upload. */
async function ifAllowed<T>(answer: Promise<T> | undefined): Promise<T | undefined> {
  const harmless: readonly StoreErrorCode[] = ['S3_DENIED', 'S3_NOT_SUPPORTED'];
  try {
    return await answer;
  } catch (error) {
    if (error instanceof StoreError && harmless.includes(error.code)) return undefined;
    throw error;
  }
}

/**
 * Whether an object is what is marked so, whole: not every server that speaks S3 throws away what came of a PUT that was cut
 * (s3rver 4.0.4 keeps it, with its metadata).
 */
function isBrought({ bytes, metadata }: Pick<ObjectFacts, 'bytes' | 'metadata'>, mark: Mark): boolean {
  const noted = metadata[mark.bytesName];
  return metadata[mark.name] === mark.value && (noted === undefined || noted === String(bytes));
}

/** What of it an upload needs. */
type WritableStore = Required<Pick<StoreForTransfers, 'putStream' | 'stat' | 'abortStaleUploads'>> & StoreForTransfers;
export const isWritable = (store: StoreForTransfers | undefined): store is WritableStore =>
  store?.putStream !== undefined && store.stat !== undefined && store.abortStaleUploads !== undefined;

/** The one of the noted uploads that is gone on with; all others are ended. */
async function chooseEarlier(
  store: WritableStore,
  { bucket, key }: BucketLocation,
  journal: MultipartJournal,
  { protection, signal }: PutOptions,
): Promise<UnfinishedUpload | undefined> {
  let chosen: UnfinishedUpload | undefined;
  for (const upload of await journal.noted()) {
    const isHere = upload.bucket === bucket && upload.key === key;
    const mayServe = isHere && chosen === undefined && isDeepStrictEqual(upload.protection, protection);
    const found = mayServe ? await ifAllowed(store.listParts?.(upload, signal)) : undefined;
    if (found) {
      chosen = found;
      continue;
    }
    await ifAllowed(store.abortUpload?.(upload, signal));
    await journal.ended(upload);
  }
  return chosen;
}

/** Resolves when the object is there, whole. See `Transport.put`. */
export async function bringToStore(
  store: WritableStore,
  location: BucketLocation,
  body: UploadBody,
  options: PutOptions,
): Promise<Brought> {
  const { bucket, key } = location;
  const { mark, journal, signal, onProgress, protection, partBytes } = options;
  const found = mark && (await ifAllowed(store.stat(bucket, key, signal)));
  if (mark && found && isBrought(found, mark)) {
    for (const upload of (await journal?.noted()) ?? []) {
      await ifAllowed(store.abortUpload?.(upload, signal));
      await journal?.ended(upload);
    }
    const sha256 = found.metadata[mark.sha256Name];
    return { bytes: found.bytes, object: { etag: found.etag, ...(sha256 === undefined ? {} : { sha256 }) } };
  }
  const earlier = journal && (await chooseEarlier(store, location, journal, options));
  // Of a writer that was killed before it could note what it had begun.
  await ifAllowed(store.abortStaleUploads(bucket, key, signal, earlier?.uploadId));
  let upload: MultipartUpload | undefined = earlier && { bucket, key, uploadId: earlier.uploadId };
  const endEntry = async (): Promise<void> => {
    if (upload) await journal?.ended(upload);
  };
  const hash = createHash('sha256');
  let size = 0;
  let digest: string | undefined;
  const sha256 = (): string => {
    digest ??= hash.digest('hex');
    return digest;
  };
  const { bytes, etag } = await store.putStream({
    bucket,
    key,
    body: await body.open(),
    onRead: (piece) => {
      hash.update(piece);
      size += piece.length;
    },
    contentType: body.contentType,
    ...(mark === undefined
      ? {}
      : {
          metadata: { [mark.name]: mark.value },
          metadataOfWhole: () => ({ [mark.sha256Name]: sha256(), [mark.bytesName]: String(size) }),
        }),
    async onInitiated(uploadId) {
      upload = { bucket, key, uploadId, ...(protection === undefined ? {} : { protection }) };
      await journal?.begun(upload);
    },
    onAborted: endEntry,
    ...(journal === undefined
      ? {}
      : {
          isKept: (error) =>
            signal.aborted ? journal.isGoneOnWith(signal.reason) : error instanceof StoreError && error.retryable,
        }),
    signal,
    ...(earlier === undefined ? {} : { earlier }),
    ...(protection === undefined ? {} : { protection }),
    ...(partBytes === undefined ? {} : { partBytes }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  await endEntry();
  return { bytes, object: { etag, sha256: sha256() } };
}
