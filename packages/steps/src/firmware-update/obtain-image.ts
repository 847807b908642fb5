/** The image of a location: one that was brought in for it, the one that is held, if it is still current, else a new one. */
import type { ArtifactRecords } from '@khumbu/operations/artifacts/artifact-records';
import type { RemovalMark } from '@khumbu/operations/artifacts/artifact-removals';
import { broughtKey } from '@khumbu/operations/artifacts/brought-key';
import type { OnProgress } from '@khumbu/operations/events/progress';
import type { FetchedVersion, FetchResult, FirmwareFetchRecord } from '@khumbu/operations/kinds/firmware-fetch/record';
import { imagesOf, type StoredImage } from '@khumbu/operations/kinds/firmware-update/record';
import { artifactOf } from '@khumbu/shared/locations/artifact-location';
import type { IgnoredParameters } from '@khumbu/shared/locations/ignored-parameters';
import { CodedError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Validators } from '@khumbu/transfer/port';
import { arrivedAs, isFresh, NOT_HELD, validatorsOf } from './fetch-results.js';
import type { Downloaded, ImageFile } from './image-ports.js';
import { type LeftoverDeps, removeLeftPieces } from './leftovers.js';
import type { StepDeps } from './step-deps.js';

export interface ObtainImageDeps
  extends Pick<StepDeps, 'images' | 'checks' | 'now'>,
    Pick<LeftoverDeps, 'listLeftPieces'> {
  readonly download: (
    location: string,
    key: string,
    known: Validators | undefined,
    signal: AbortSignal,
    onProgress: OnProgress,
  ) => Promise<Downloaded>;
  readonly artifacts: Pick<ArtifactRecords, 'settled' | 'broughtFor' | 'find'>;
  /** Parameters of a location by which nobody tells what was brought in for it. */
  readonly ignored: IgnoredParameters;
  readonly reuseUnaskedMs: number;
  /** Least size of an image. */
  readonly minBytes: number;
}

/** `held`: what is held from now on, if that has changed. */
export interface ObtainedImage {
  readonly result: FetchResult;
  readonly held?: FetchedVersion;
  /** The bytes are there as long as these are as they were: for the commit of the result. */
  readonly marks?: readonly RemovalMark[];
  /** What came over the network for it. */
  readonly fetchedBytes?: number;
  /** MD5 of its files by their SHA-256, where it is known. */
  readonly md5s?: ReadonlyMap<string, string>;
}

export function createObtainImage(deps: ObtainImageDeps) {
  const { images, checks, now, download, artifacts, ignored, reuseUnaskedMs, minBytes } = deps;

  const isStored = async ({ asCame, ...image }: StoredImage, signal: AbortSignal): Promise<boolean> =>
    (await images.has(image, signal)) && (asCame === undefined || (await images.has(asCame, signal)));

  /** In this order: a removal that begins after the first look is seen by the commit. */
  const marksOfStored = async (image: StoredImage, signal: AbortSignal): Promise<RemovalMark[] | undefined> => {
    const marks = await Promise.all(imagesOf(image).map((sha256) => artifacts.settled(sha256, signal)));
    return (await isStored(image, signal)) ? marks : undefined;
  };

  /** What somebody brought in: the artefact that the location names, or the one that stands for it. */
  const obtainBrought = async (location: string, signal: AbortSignal): Promise<ObtainedImage | undefined> => {
    const sha256 = artifactOf(location);
    const found =
      sha256 === undefined
        ? await artifacts.broughtFor(broughtKey(location, ignored))
        : await artifacts.find(sha256, 0);
    const image = found && { sha256: found.sha256, sizeBytes: found.sizeBytes };
    const marks = image && (await marksOfStored(image, signal));
    if (image && marks) return { result: { ok: true, image }, marks };
    return sha256 === undefined ? undefined : { result: NOT_HELD };
  };

  /** A store may have room for an image alone, and not for what was kept of it on its way as well. */
  const keepInStore = async (image: StoredImage, key: string, signal: AbortSignal): Promise<void> => {
    try {
      await images.keep(image, signal);
    } catch (error) {
      const isFull = hasCode(error, 'S3_QUOTA');
      if (!isFull || !(await removeLeftPieces(deps, key, signal).catch(() => false))) throw error;
      await images.keep(image, signal);
    }
  };

  const keep = async (file: ImageFile, key: string, signal: AbortSignal): Promise<StoredImage> => {
    await checks.remember(file.path, file);
    const { sha256, sizeBytes } = file;
    await keepInStore({ sha256, sizeBytes }, key, signal);
    return { sha256, sizeBytes };
  };

  const keepFetched = async (
    key: string,
    fetched: Extract<Downloaded, { kind: 'fetched' }>,
    signal: AbortSignal,
  ): Promise<ObtainedImage> => {
    const files = [fetched, ...(fetched.asCame ? [fetched.asCame] : [])];
    const marks = await Promise.all(files.map(({ sha256 }) => artifacts.settled(sha256, signal)));
    const asCame = fetched.asCame ? { asCame: await keep(fetched.asCame, key, signal) } : {};
    const image = { ...(await keep(fetched, key, signal)), ...asCame };
    // A removal that went on while the file was put under its name may have taken it away.
    if (!(await isStored(image, signal))) throw new CodedError('CONFLICT', 'the image was removed as it came');
    const webPage = fetched.webPage ? { webPage: true as const } : {};
    const version = { image, fetchedAt: now().wall, ...validatorsOf(fetched), ...webPage };
    const fetchedBytes = (fetched.asCame ?? fetched).sizeBytes;
    const md5s = new Map(files.flatMap(({ sha256, md5 }) => (md5 === undefined ? [] : [[sha256, md5] as const])));
    return { result: arrivedAs(version), held: version, marks, fetchedBytes, md5s };
  };

  return async (fetch: FirmwareFetchRecord, signal: AbortSignal, onProgress: OnProgress): Promise<ObtainedImage> => {
    const brought = await obtainBrought(fetch.location, signal);
    if (brought) return brought;
    const { held } = fetch;
    // A held image may be smaller than the setting allows now, or was fetched by an older version.
    const isLargeEnough = held !== undefined && held.image.sizeBytes >= minBytes;
    const marks = isLargeEnough ? await marksOfStored(held.image, signal) : undefined;
    if (held && marks && isFresh(held, now().wall, reuseUnaskedMs)) return { result: arrivedAs(held), marks };
    const known = held && marks ? validatorsOf(held) : undefined;
    const fetched = await download(fetch.location, fetch.id, known, signal, onProgress);
    if (fetched.kind === 'fetched') return keepFetched(fetch.id, fetched, signal);
    if (!held || !marks) throw new TypeError('nothing is held that could be unchanged');
    const sentAgain = { ...held, sentAnyway: true as const, fetchedAt: now().wall };
    return { result: arrivedAs(held), marks, ...(fetched.sentAnyway ? { held: sentAgain } : {}) };
  };
}
