/** Bring the content of a location into the spool. `s3://` is read from the depot's own object store. */
import type { ObjectStore } from '@khumbu/object-store/object-store';
import { proxyRules } from '@khumbu/shared/http/forward-proxy';
import { userAgentOf } from '@khumbu/shared/http/user-agent';
import { parseLocation } from '@khumbu/shared/locations/location';
import { createLocationPolicy, type LocationRules } from '@khumbu/shared/locations/policy';
import type { OtaWorkerConfig } from '../config.js';
import { FetchError } from '../fetching/fetch-error.js';
import { fetchInThread, type ThreadFetchOptions } from '../fetching/fetch-in-thread.js';
import type { FetchDeps } from '../steps/fetch.js';

/** Long enough for any download; the URL is used by this process alone. */
const PRESIGNED_S = 24 * 3600;
/** So our own store answers while a clock is wrong, its own or this host's. Each try has a URL of its own. */
const REFUSED_BY_CLOCK: readonly number[] = [403];

export interface DownloadDeps {
  readonly config: OtaWorkerConfig;
  readonly rules: LocationRules;
  readonly objects: ObjectStore | undefined;
  readonly ca?: string;
  readonly makeRoom: (bytes: number) => Promise<number>;
}

export function createDownload({ config, rules, objects, ca, makeRoom }: DownloadDeps): FetchDeps['download'] {
  const policy = createLocationPolicy(rules);
  // The object store is the depot's own: it is never behind the proxy to the world.
  const proxy = proxyRules(config);
  /** Our own object store may be anywhere, also on this machine: the operator has named it. */
  const ownStore = config.S3_ENDPOINT === undefined ? undefined : new URL(config.S3_ENDPOINT);
  const storeRules: LocationRules | undefined = ownStore && {
    allowedSchemes: ['http', 'https'],
    allowedHosts: [ownStore.host],
    allowLoopback: true,
  };

  const reach = async (
    location: string,
  ): Promise<Pick<ThreadFetchOptions, 'location' | 'rules' | 'proxy' | 'retryableStatuses'>> => {
    if (!location.toLowerCase().startsWith('s3:')) return { location, rules, proxy };
    const checked = policy.check(location);
    if (!checked.ok) throw new FetchError(false, 'location_refused', checked.reason);
    const parsed = parseLocation(location);
    if (!parsed.ok || parsed.location.scheme !== 's3')
      throw new FetchError(false, 'location_refused', 'not an s3 location');
    if (!objects || !storeRules) throw new FetchError(false, 'scheme_unsupported', 'no object store is configured');
    const { bucket, key } = parsed.location;
    const presigned = await objects.presignGet({ bucket, key }, PRESIGNED_S);
    return { location: presigned, rules: storeRules, retryableStatuses: REFUSED_BY_CLOCK };
  };

  return async (location, key, known, signal, onProgress) => {
    const where = await reach(location);
    return fetchInThread({
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
      ...(ca === undefined ? {} : { ca }),
    });
  };
}
