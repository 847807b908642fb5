/** Where the images of the depot are kept, by the settings, with what looks after them. */
import type { ObjectStore } from '@khumbu/object-store/object-store';
import type { Sweep } from '@khumbu/operations/jobs/sweeps';
import type { Store } from '@khumbu/operations/kinds/store';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { OtaWorkerConfig } from '../config.js';
import { createImageChecks } from './image-checks.js';
import { endStaleCopies, objectStoreImages, sharedSpool } from './image-store.js';
import { makeRoom, oneAtATime, sweepImages } from './sweep.js';

/** `makeRoom`: as in `FetchOptions`. */
export function openImages(
  { SPOOL_DIR: spoolDir, FIRMWARE_STORE, S3_BUCKET: bucket }: OtaWorkerConfig,
  objects: ObjectStore | undefined,
  store: Pick<Store, 'neededImages' | 'namedImages'>,
  log: Logger,
) {
  const checks = createImageChecks();
  const free = oneAtATime(async (bytes) => {
    const freed = await makeRoom(spoolDir, bytes, () => store.neededImages(), Date.now());
    if (freed > 0) log.info({ freed }, 'images nobody needs now made room in the spool');
    return freed;
  });
  const spoolSweep: Sweep = {
    run: () => sweepImages(spoolDir, () => store.namedImages(), Date.now()),
    counts: 'removed',
    done: 'leftovers removed from the spool',
    failed: 'the spool was not swept',
  };
  if (FIRMWARE_STORE !== 's3' || !objects)
    return { images: sharedSpool(spoolDir), checks, makeRoom: free, sweeps: [spoolSweep] };
  const copySweep: Sweep = {
    run: () => endStaleCopies(objects, bucket, Date.now()),
    counts: 'ended',
    done: 'unfinished copies of images ended in the object store',
    failed: 'unfinished copies of images were not looked for in the object store',
  };
  const onCorrupt = ({ sha256 }: { readonly sha256: string }): void =>
    log.error({ sha256 }, 'the object store had other content under the name of an image: removed');
  const images = objectStoreImages(spoolDir, objects, bucket, free, { checks, onCorrupt });
  return { images, checks, makeRoom: free, sweeps: [spoolSweep, copySweep] };
}
