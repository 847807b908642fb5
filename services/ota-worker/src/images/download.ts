/** Bring the content of a location into the spool. `s3://` is read from the depot's own object store. */
import type { ObjectStore } from '@khumbu/object-store/object-store';
import { StoreError } from '@khumbu/object-store/store-error';
import { proxyRules } from '@khumbu/shared/http/forward-proxy';
import { userAgentOf } from '@khumbu/shared/http/user-agent';
import { createLocationPolicy, type LocationRules } from '@khumbu/shared/locations/policy';
import { FetchError } from '@khumbu/steps/firmware-update/fetch-error';
import type { ObtainImageDeps } from '@khumbu/steps/firmware-update/obtain-image';
import type { OtaWorkerConfig } from '../config.js';
import { fetchInThread, type ThreadFetchOptions } from '../fetching/fetch-in-thread.js';

/** Long enough for any download; the URL is used by this process alone. */
const PRESIGNED_S = 24 * 3600;
/** So our own store answers while a clock is wrong, its own or this host's. Each try has a URL of its own. */
const REFUSED_BY_CLOCK: readonly number[] = [403];

export interface DownloadDeps {
  readonly config: OtaWorkerConfig;
  readonly rules: LocationRules;
  readonly objects: ObjectStore | undefined;
  /** PEM of the authorities of https locations, as it is now; default: the built-in ones. */
  readonly ca?: (() => string) | undefined;
  readonly makeRoom: (bytes: number) => Promise<number>;
}

/** The store itself is trusted, wherever it is: the operator has named it. */
const rulesOfStore = (url: string): LocationRules => ({
  allowedSchemes: ['http', 'https'],
  allowedHosts: [new URL(url).host],
  allowLoopback: true,
});

/** Whether a request by the S3 API can tell more: the store has refused, or redirected to another host. */
const isUnclear = (error: unknown): error is FetchError =>
  error instanceof FetchError && (/^http_[34]/.test(error.reason) || error.reason === 'location_refused');

/** The store's own error, under the reason that goes with it. Pure. */
function explained(first: FetchError, said: unknown): unknown {
  if (!(said instanceof StoreError)) return said;
  const options = { cause: first, retryAfterS: first.retryAfterS };
  switch (said.code) {
    case 'S3_WRONG_REGION':
      return new FetchError(false, 's3_wrong_region', said.message, options);
    case 'S3_WRONG_ENDPOINT':
      return new FetchError(false, 's3_wrong_endpoint', said.message, options);
    default:
      return new FetchError(first.code === 'FETCH_RETRYABLE' || said.retryable, first.reason, said.message, options);
  }
}

export function createDownload({ config, rules, objects, ca, makeRoom }: DownloadDeps): ObtainImageDeps['download'] {
  const policy = createLocationPolicy(rules);
  // The object store is the depot's own: it is never behind the proxy to the world.
  const proxy = proxyRules(config);

  return async (location, key, known, signal, onProgress) => {
    const run = (where: Pick<ThreadFetchOptions, 'location' | 'rules' | 'proxy' | 'retryableStatuses'>) =>
      fetchInThread({
        ...where,
        key,
        spoolDir: config.SPOOL_DIR,
        maxBytes: config.MAX_FIRMWARE_BYTES,
        minBytes: config.MIN_FIRMWARE_BYTES,
        userAgent: userAgentOf(config),
        stallMs: config.DOWNLOAD_STALL_MS,
        signal,
        onProgress,
        makeRoom,
        ...(known ? { known } : {}),
        ...(ca === undefined ? {} : { ca: ca() }),
      });
    const fromStore = (url: string) =>
      run({ location: url, rules: rulesOfStore(url), retryableStatuses: REFUSED_BY_CLOCK });

    if (!location.toLowerCase().startsWith('s3:')) return run({ location, rules, proxy });
    const checked = policy.check(location);
    if (!checked.ok) throw new FetchError(false, 'location_refused', checked.reason);
    if (checked.location.scheme !== 's3') throw new FetchError(false, 'location_refused', 'not an s3 location');
    if (!objects) throw new FetchError(false, 'scheme_unsupported', 'no object store is configured');
    const object = { bucket: checked.location.bucket, key: checked.location.key };
    const presigned = await objects.presignGet(object, PRESIGNED_S);
    try {
      return await fromStore(presigned);
    } catch (error) {
      if (!isUnclear(error)) throw error;
      const found = await objects.presignFoundGet(object, PRESIGNED_S, signal).catch((said: unknown) => {
        throw explained(error, said);
      });
      if (new URL(found).host === new URL(presigned).host) throw error;
      return fromStore(found);
    }
  };
}
