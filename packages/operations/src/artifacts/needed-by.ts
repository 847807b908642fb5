/** Which operations need an image that the depot holds. */
import { artifactOf } from '@khumbu/shared/locations/artifact-location';
import type { IgnoredParameters } from '@khumbu/shared/locations/ignored-parameters';
import { isFetch } from '../kinds/firmware-fetch/record.js';
import type { OperationRecord } from '../kinds/kinds.js';
import type { Store } from '../kinds/store.js';
import type { ArtifactRecords } from './artifact-records.js';
import { broughtKey } from './brought-key.js';

/** Ids of the operations among `open` that need it. `isFor`: it is what this location stands for. Pure. */
export function needing(
  open: readonly OperationRecord[],
  sha256: string,
  images: (record: OperationRecord) => readonly string[],
  isFor: (location: string) => boolean,
): readonly string[] {
  const needs = new Set<string>();
  for (const record of open) {
    const isNamed = images(record).includes(sha256);
    if (isFetch(record)) {
      const isGiven = isNamed || (record.result?.ok === true && record.result.image.sha256 === sha256);
      for (const id of isGiven || isFor(record.location) ? [...record.waiters, ...record.nextWaiters] : [])
        needs.add(id);
    } else if (record.kind === 'firmware_update') {
      if (isNamed || (record.image === undefined && isFor(record.request.location))) needs.add(record.id);
    }
  }
  const isOpen = new Set(open.map(({ id }) => id));
  return [...needs].filter((id) => isOpen.has(id));
}

/** Asks for those that need it now. A fetch that nobody waits for any more needs nothing. */
export const createNeededBy =
  (
    store: Pick<Store, 'openIds' | 'loadMany' | 'rules'>,
    records: Pick<ArtifactRecords, 'broughtLocations'>,
    ignored: IgnoredParameters,
  ) =>
  async (sha256: string): Promise<readonly string[]> => {
    const [open, brought] = await Promise.all([
      store.openIds().then((ids) => store.loadMany(ids)),
      records.broughtLocations(),
    ]);
    const isFor = (location: string): boolean =>
      artifactOf(location) === sha256 || brought[broughtKey(location, ignored)] === sha256;
    return needing(open, sha256, (record) => store.rules.images(record), isFor);
  };
