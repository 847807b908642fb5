/** Which operations need an image that the depot holds. */
import { artifactOf } from '@khumbu/shared/locations/artifact-location';
import type { IgnoredParameters } from '@khumbu/shared/locations/ignored-parameters';
import { definitionOf } from '../kinds/kinds.js';
import type { Store } from '../kinds/store.js';
import type { ArtifactRecords } from './artifact-records.js';
import { broughtKey } from './brought-key.js';

/** Asks for the ids of those that need it now. */
export const createNeededBy =
  (
    store: Pick<Store, 'openIds' | 'loadMany'>,
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
    const needs = new Set(open.flatMap((record) => definitionOf(record).needing?.(record, sha256, isFor) ?? []));
    return open.map(({ id }) => id).filter((id) => needs.has(id));
  };
