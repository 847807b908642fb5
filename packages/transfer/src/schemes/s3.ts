/** `s3`: the depot's own object store. Read by HTTP through URLs that it has signed, written by `packages/object-store`. */
import { createHash } from 'node:crypto';
import type { ObjectFacts } from '@khumbu/object-store/object-store';
import { StoreError, type StoreErrorCode } from '@khumbu/object-store/store-error';
import {
  type BucketLocation,
  type HostLocation,
  type Location,
  parseLocation,
} from '@khumbu/shared/locations/location';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import type { StoreReason } from '../faults/fault.js';
import type {
  Brought,
  CreateTransport,
  Mark,
  MultipartUpload,
  Opened,
  OpenOptions,
  PutOptions,
  StoreForTransfers,
  TransferContext,
  Transport,
  UploadBody,
} from '../port.js';
import { type Leg, TransferError } from '../transfer-error.js';
import { createHttpTransport } from './http.js';

/** Long enough for any download; the URL is used by this process alone. */
const PRESIGNED_S = 24 * 3600;

const GET: Leg = { direction: 'get', scheme: 's3' };
const PUT: Leg = { direction: 'put', scheme: 's3' };

function inStore(location: Location, leg: Leg): BucketLocation {
  if (location.scheme === 's3') return location;
  const reason = leg.direction === 'get' ? 'scheme_unsupported' : 'not_supported';
  throw new TransferError(leg, reason, `${location.scheme}: is not in the object store`);
}

/** Whether a request by the S3 API can tell more: the store has refused, or redirected to another host. */
const isUnclear = (error: unknown): error is TransferError =>
  error instanceof TransferError && (/^http_[34]/.test(error.reason) || error.reason === 'location_refused');

/** What HTTP failed with, judged as a fault of the store: it answers 403 while a clock is wrong, its own or this host's. */
const ofStore = (error: unknown): unknown =>
  error instanceof TransferError
    ? new TransferError(GET, error.reason, error.message, { cause: error.cause, retryAfterS: error.retryAfterS })
    : error;

/** The store's own error, under the reason that goes with it. Pure. */
function explained(first: TransferError, said: unknown): unknown {
  if (!(said instanceof StoreError)) return said;
  const { retryAfterS } = first;
  if (said.code === 'S3_WRONG_REGION' || said.code === 'S3_WRONG_ENDPOINT') {
    const reason = said.code === 'S3_WRONG_REGION' ? 's3_wrong_region' : 's3_wrong_endpoint';
    return new TransferError(GET, reason, said.message, { cause: first, retryAfterS });
  }
  const byTable = new TransferError(GET, first.reason, said.message);
  const retryable = byTable.retryable || said.retryable;
  return new TransferError(GET, first.reason, said.message, { cause: first, retryAfterS, retryable });
}

/** The downloads of one try. */
class StoreDownload {
  readonly #context: TransferContext;
  /** By host: what HTTP learns of one is not for another. */
  readonly #transports = new Map<string, Transport>();

  constructor(context: TransferContext) {
    this.#context = context;
  }

  async open(location: BucketLocation, options: OpenOptions): Promise<Opened> {
    const { objects } = this.#context;
    if (!objects) throw new TransferError(GET, 'scheme_unsupported', 'no object store is configured');
    const { signal } = options;
    const object = { bucket: location.bucket, key: location.key };
    const presigned = await objects.presignGet(object, PRESIGNED_S);
    try {
      return await this.#openUrl(presigned, options);
    } catch (error) {
      if (!isUnclear(error)) throw ofStore(error);
      const found = await objects.presignFoundGet(object, PRESIGNED_S, signal).catch((said: unknown) => {
        signal.throwIfAborted();
        throw explained(error, said);
      });
      if (new URL(found).host === new URL(presigned).host) throw ofStore(error);
      return await this.#openUrl(found, options).catch((second: unknown) => {
        throw ofStore(second);
      });
    }
  }

  async #openUrl(text: string, options: OpenOptions): Promise<Opened> {
    const parsed = parseLocation(text);
    if (!parsed.ok) throw new TransferError(GET, 'location_refused', `${parsed.code}: ${parsed.reason}`);
    const location = parsed.location as HostLocation;
    const { host } = location.url;
    const transport = this.#transports.get(host) ?? createHttpTransport(this.#contextAt(host));
    this.#transports.set(host, transport);
    return transport.open(location, options);
  }

  /** The store itself is trusted, wherever it is, because the operator has named it; and it is never behind the proxy to the world. */
  #contextAt(host: string): TransferContext {
    const policy = createLocationPolicy({
      allowedSchemes: ['http', 'https'],
      allowedHosts: [host],
      allowLoopback: true,
    });
    return { ...this.#context, policy, proxy: undefined };
  }
}

/** Keys that may only write get `S3_DENIED`, and some stores lack the call: neither is needed to upload. */
async function ifAllowed<T>(answer: Promise<T>): Promise<T | undefined> {
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
type WritableStore = Required<StoreForTransfers>;
const isWritable = (store: StoreForTransfers | undefined): store is WritableStore =>
  store?.putStream !== undefined && store.stat !== undefined && store.abortStaleUploads !== undefined;

async function bring(
  store: WritableStore,
  { bucket, key }: BucketLocation,
  body: UploadBody,
  { mark, journal, signal, onProgress }: PutOptions,
): Promise<Brought> {
  const found = mark && (await ifAllowed(store.stat(bucket, key, signal)));
  if (mark && found && isBrought(found, mark)) {
    await journal?.cleared();
    const sha256 = found.metadata[mark.sha256Name];
    return { bytes: found.bytes, object: { etag: found.etag, ...(sha256 === undefined ? {} : { sha256 }) } };
  }
  const stale = await ifAllowed(store.abortStaleUploads(bucket, key, signal));
  // The uploads of earlier tries were among them.
  if (stale !== undefined) await journal?.cleared();
  let upload: MultipartUpload | undefined;
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
      upload = { bucket, key, uploadId };
      await journal?.begun(upload);
    },
    onAborted: endEntry,
    signal,
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  await endEntry();
  return { bytes, object: { etag, sha256: sha256() } };
}

export const createS3Transport: CreateTransport = (context) => {
  const download = new StoreDownload(context);
  return {
    open: async (location, options) => download.open(inStore(location, GET), options),
    async put(location, body, options) {
      const { objects } = context;
      if (!isWritable(objects))
        throw new TransferError(PUT, 'not_supported', 'no object store is configured; set S3_ENDPOINT');
      try {
        return await bring(objects, inStore(location, PUT), body, options);
      } catch (error) {
        options.signal.throwIfAborted();
        if (!(error instanceof StoreError)) throw error;
        const reason = error.code.toLowerCase() as StoreReason;
        throw new TransferError(PUT, reason, error.message, { cause: error });
      }
    },
  };
};
