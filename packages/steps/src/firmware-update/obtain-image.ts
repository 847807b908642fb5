/** The image of a location: the one that is held, if it is still current, else a new one. */
import type { OnProgress } from '@khumbu/operations/events/progress';
import type { FetchedVersion, FetchResult, FirmwareFetchRecord } from '@khumbu/operations/kinds/firmware-fetch/record';
import type { StoredImage } from '@khumbu/operations/kinds/firmware-update/record';
import type { Validators } from '@khumbu/transfer/port';
import { arrivedAs, isFresh, validatorsOf } from './fetch-results.js';
import type { Downloaded, ImageFile } from './image-ports.js';
import type { StepDeps } from './step-deps.js';

export interface ObtainImageDeps extends Pick<StepDeps, 'images' | 'checks' | 'now'> {
  readonly download: (
    location: string,
    key: string,
    known: Validators | undefined,
    signal: AbortSignal,
    onProgress: OnProgress,
  ) => Promise<Downloaded>;
  readonly reuseUnaskedMs: number;
  /** Least size of an image. */
  readonly minBytes: number;
}

/** `held`: what is held from now on, if that has changed. */
export interface ObtainedImage {
  readonly result: FetchResult;
  readonly held?: FetchedVersion;
}

export function createObtainImage({ images, checks, now, download, reuseUnaskedMs, minBytes }: ObtainImageDeps) {
  const isStored = async ({ asCame, ...image }: StoredImage, signal: AbortSignal): Promise<boolean> =>
    (await images.has(image, signal)) && (asCame === undefined || (await images.has(asCame, signal)));

  const keep = async (file: ImageFile, signal: AbortSignal): Promise<StoredImage> => {
    await checks.remember(file.path, file);
    const { sha256, sizeBytes } = file;
    await images.keep({ sha256, sizeBytes }, signal);
    return { sha256, sizeBytes };
  };

  return async (fetch: FirmwareFetchRecord, signal: AbortSignal, onProgress: OnProgress): Promise<ObtainedImage> => {
    const { held } = fetch;
    // A held image may be smaller than the setting allows now, or was fetched by an older version.
    const isUsable = held !== undefined && held.image.sizeBytes >= minBytes && (await isStored(held.image, signal));
    if (held && isUsable && isFresh(held, now().wall, reuseUnaskedMs)) return { result: arrivedAs(held) };
    const known = held && isUsable ? validatorsOf(held) : undefined;
    const fetched = await download(fetch.location, fetch.id, known, signal, onProgress);
    if (fetched.kind === 'unchanged') {
      if (!held) throw new TypeError('nothing is held that could be unchanged');
      const sentAgain = { ...held, sentAnyway: true as const, fetchedAt: now().wall };
      return { result: arrivedAs(held), ...(fetched.sentAnyway ? { held: sentAgain } : {}) };
    }
    const asCame = fetched.asCame ? { asCame: await keep(fetched.asCame, signal) } : {};
    const image = { ...(await keep(fetched, signal)), ...asCame };
    const webPage = fetched.webPage ? { webPage: true as const } : {};
    const version = { image, fetchedAt: now().wall, ...validatorsOf(fetched), ...webPage };
    return { result: arrivedAs(version), held: version };
  };
}
