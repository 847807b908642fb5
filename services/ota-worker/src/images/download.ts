/** Bring the content of a location into the spool, by the thread that fetches. */
import type { ObjectStore } from '@khumbu/object-store/object-store';
import { userAgentOf } from '@khumbu/shared/http/user-agent';
import type { LocationRules } from '@khumbu/shared/locations/policy';
import type { ObtainImageDeps } from '@khumbu/steps/firmware-update/obtain-image';
import { proxyRules } from '@khumbu/transfer/http/forward-proxy';
import type { SshTrust } from '@khumbu/transfer/ssh-settings';
import type { OtaWorkerConfig } from '../config.js';
import { fetchInThread, type ThreadFetchOptions } from '../fetching/fetch-in-thread.js';
import { fetchWithPieces, type PiecesDeps } from '../pieces/fetch-with-pieces.js';

export interface DownloadDeps {
  readonly config: OtaWorkerConfig;
  readonly rules: LocationRules;
  readonly objects: ObjectStore | undefined;
  /** PEM of the authorities of https locations, as it is now; default: the built-in ones. */
  readonly ca?: (() => string) | undefined;
  /** Trust and key of sftp locations, as they are now; default: no server is trusted. */
  readonly ssh?: SshTrust['current'] | undefined;
  readonly makeRoom: (bytes: number) => Promise<number>;
  readonly meter?: ThreadFetchOptions['meter'];
  /** Where other workers go on with what this one has brought; absent: they share the spool. */
  readonly pieces?: PiecesDeps | undefined;
}

export function createDownload({
  config,
  rules,
  objects,
  ca,
  ssh,
  makeRoom,
  meter,
  pieces,
}: DownloadDeps): ObtainImageDeps['download'] {
  const proxy = proxyRules(config);
  return (location, key, known, signal, onProgress) => {
    // The object store is the depot's own: what comes from it does not pass the WAN, and lies there already.
    const isOwn = /^s3:/i.test(location);
    const options: ThreadFetchOptions = {
      location,
      key,
      rules,
      proxy,
      objects,
      spoolDir: config.SPOOL_DIR,
      maxBytes: config.MAX_FIRMWARE_BYTES,
      minBytes: config.MIN_FIRMWARE_BYTES,
      withMd5: config.FIRMWARE_MD5,
      userAgent: userAgentOf(config),
      stallMs: config.DOWNLOAD_STALL_MS,
      signal,
      onProgress,
      makeRoom,
      ...(meter && !isOwn ? { meter } : {}),
      ...(known ? { known } : {}),
      ...(ca === undefined ? {} : { ca: ca() }),
      ...ssh?.(),
    };
    return pieces && !isOwn ? fetchWithPieces(options, pieces) : fetchInThread(options);
  };
}
