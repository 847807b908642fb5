/** `s3`: the depot's own object store. Read by HTTP through URLs that it has signed, written by `packages/object-store`. */
import { StoreError } from '@khumbu/object-store/store-error';
import {
  type BucketLocation,
  type HostLocation,
  type Location,
  parseLocation,
} from '@khumbu/shared/locations/location';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import type { StoreReason } from '../faults/fault.js';
import type { CreateTransport, Opened, OpenOptions, TransferContext, Transport } from '../port.js';
import { type Leg, TransferError } from '../transfer-error.js';
import { createHttpTransport } from './http.js';
import { bringToStore, isWritable } from './s3/bring.js';

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

export const createS3Transport: CreateTransport = (context) => {
  const download = new StoreDownload(context);
  return {
    open: async (location, options) => download.open(inStore(location, GET), options),
    async put(location, body, options) {
      const { objects } = context;
      if (!isWritable(objects))
        throw new TransferError(PUT, 'not_supported', 'no object store is configured; set S3_ENDPOINT');
      try {
        return await bringToStore(objects, inStore(location, PUT), body, options);
      } catch (error) {
        options.signal.throwIfAborted();
        if (!(error instanceof StoreError)) throw error;
        const reason = error.code.toLowerCase() as StoreReason;
        throw new TransferError(PUT, reason, error.message, { cause: error });
      }
    },
  };
};
