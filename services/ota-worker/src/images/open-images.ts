/** Where the images of the depot are kept, by the settings, with what looks after them. */
import { mendRecords } from '@khumbu/artifacts/mend-records';
import type { ArtifactPlace } from '@khumbu/artifacts/place';
import { spoolPlace } from '@khumbu/artifacts/spool-place';
import { storePlace } from '@khumbu/artifacts/store-place';
import { sweepStore } from '@khumbu/artifacts/sweep-store';
import { sweepIncoming } from '@khumbu/artifacts/take-in';
import type { ObjectStore } from '@khumbu/object-store/object-store';
import type { ArtifactRecords } from '@khumbu/operations/artifacts/artifact-records';
import { createNeededBy } from '@khumbu/operations/artifacts/needed-by';
import type { Sweep } from '@khumbu/operations/jobs/sweeps';
import type { Store } from '@khumbu/operations/kinds/store';
import type { IgnoredParameters } from '@khumbu/shared/locations/ignored-parameters';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { ImageChecks, ImageStore } from '@khumbu/steps/firmware-update/image-ports';
import type { OtaWorkerConfig } from '../config.js';
import { createPieceStore, type PieceStore } from '../pieces/piece-store.js';
import { createImageChecks } from './image-checks.js';
import { endStaleCopies, objectStoreImages, sharedSpool } from './image-store.js';
import { makeRoom, oneAtATime, PARTS_KEPT_MS, sweepImages } from './sweep.js';

export interface OpenImagesParts {
  readonly objects: ObjectStore | undefined;
  readonly store: Store;
  readonly artifacts: ArtifactRecords;
  readonly ignored: IgnoredParameters;
  /** Of a shared spool: as in `MendDeps`. */
  readonly showsAll: () => Promise<boolean>;
  /** The depot's time, milliseconds since 1970. */
  readonly now: () => number;
  /** Fires when the worker stops. */
  readonly stopping: AbortSignal;
  readonly log: Logger;
}

export interface OpenImages {
  readonly images: ImageStore;
  readonly checks: ImageChecks;
  /** As in `FetchOptions`. */
  readonly makeRoom: (bytes: number) => Promise<number>;
  /** Where images lie for all workers. */
  readonly place: ArtifactPlace;
  /** Where each worker has a spool of its own: what comes of downloads, for the others. */
  readonly pieces?: PieceStore;
  readonly sweeps: readonly Sweep[];
}

const union = (...sets: readonly ReadonlySet<string>[]): Set<string> => new Set(sets.flatMap((set) => [...set]));

export function openImages(config: OtaWorkerConfig, parts: OpenImagesParts): OpenImages {
  const { SPOOL_DIR: spoolDir, S3_BUCKET: bucket } = config;
  const { objects, store, artifacts, log, stopping, now } = parts;
  const kept = config.FIRMWARE_STORE === 's3' ? objects : undefined;
  const place = kept ? storePlace(kept, bucket) : spoolPlace(spoolDir);
  const checks = createImageChecks();
  const showsAll = kept ? async () => true : parts.showsAll;
  /** In a shared spool these are all there is of them; elsewhere the spool has copies. */
  const brought = async (): Promise<ReadonlySet<string>> => (kept ? new Set() : artifacts.brought());
  const mend = (): Promise<number> => mendRecords({ records: artifacts, place, store, showsAll }, stopping);
  const free = oneAtATime(async (bytes) => {
    const needed = async () => union(await store.neededImages(), await brought());
    const freed = await makeRoom(spoolDir, bytes, needed, Date.now());
    if (freed > 0) log.info({ freed }, 'images nobody needs now made room in the spool');
    if (freed > 0 && !kept) await mend();
    return freed;
  });
  const onCorrupt = ({ sha256 }: { readonly sha256: string }): void =>
    log.error({ sha256 }, 'other content was kept under the name of an image: removed');

  /** Of an image that was removed from the object store no copy stays that nobody needs. */
  const named = async (): Promise<ReadonlySet<string>> => {
    const all = await store.namedImages();
    if (!kept) return union(all, await brought());
    const listed = new Set(await artifacts.listed());
    return union(new Set([...all].filter((sha256) => listed.has(sha256))), await store.neededImages());
  };
  const recordSweep: Sweep = {
    run: mend,
    counts: 'mended',
    done: 'records of images were made as the images are',
    failed: 'records of images were not compared with the images',
  };
  const spoolSweep: Sweep = {
    run: async () => (await sweepImages(spoolDir, named, Date.now())) + (await sweepIncoming(spoolDir, Date.now())),
    counts: 'removed',
    done: 'leftovers removed from the spool',
    failed: 'the spool was not swept',
  };
  if (!kept) {
    const images = sharedSpool(spoolDir, { checks, onCorrupt });
    // Once more behind the sweep, so that no record is left of what it removed.
    return { images, checks, makeRoom: free, place, sweeps: [recordSweep, spoolSweep, recordSweep] };
  }
  const copySweep: Sweep = {
    run: () => endStaleCopies(kept, bucket, Date.now()),
    counts: 'ended',
    done: 'unfinished copies of images ended in the object store',
    failed: 'unfinished copies of images were not looked for in the object store',
  };
  const pieces = createPieceStore(kept, bucket);
  const pieceSweep: Sweep = {
    run: () => pieces.sweep(PARTS_KEPT_MS, Date.now(), stopping),
    counts: 'removed',
    done: 'leftovers of downloads removed from the object store',
    failed: 'leftovers of downloads were not looked for in the object store',
  };
  const storeSweep: Sweep = {
    run: () => {
      const namedImages = () => store.namedImages();
      const neededImages = () => store.neededImages();
      const neededBy = createNeededBy(store, artifacts, parts.ignored);
      const list = () => place.list(stopping);
      const maxBytes = config.FIRMWARE_STORE_MAX_BYTES;
      const deps = { records: artifacts, place, list, neededBy, namedImages, neededImages, now, maxBytes };
      return sweepStore(deps, stopping);
    },
    counts: 'removed',
    done: 'images nobody names removed from the object store',
    failed: 'images in the object store were not swept',
  };
  const images = objectStoreImages(spoolDir, kept, bucket, free, { checks, onCorrupt });
  const sweeps = [recordSweep, storeSweep, spoolSweep, copySweep, pieceSweep];
  // Those of a time when they were kept are swept all the same.
  const ofDownloads = config.FIRMWARE_STORE_RESUME ? { pieces } : {};
  return { images, checks, makeRoom: free, place, ...ofDownloads, sweeps };
}
