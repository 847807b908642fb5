/** Records follow the bytes: what killed processes, other versions and lost disks leave behind is made right. */
import { randomUUID } from 'node:crypto';
import { type ArtifactRecords, type ArtifactSource, isElsewhere } from '@khumbu/operations/artifacts/artifact-records';
import { isFetch } from '@khumbu/operations/kinds/firmware-fetch/record';
import { imagesOf } from '@khumbu/operations/kinds/firmware-update/record';
import type { Store } from '@khumbu/operations/kinds/store';
import { publicLocation } from '@khumbu/shared/locations/location';
import type { ArtifactPlace } from './place.js';

export interface MendDeps {
  readonly records: Pick<ArtifactRecords, 'listed' | 'found' | 'beginRemoval' | 'giveUpRemoval' | 'endRemoval'>;
  readonly place: Pick<ArtifactPlace, 'find' | 'list'>;
  readonly store: Pick<Store, 'restingFetches' | 'loadMany'>;
  /** Whether what the place does not show is gone; `false`: it may lie in a folder that is not mounted now. */
  readonly showsAll: () => Promise<boolean>;
}

/** From where the images came that fetches hold. */
async function sourcesByImage(store: MendDeps['store']): Promise<ReadonlyMap<string, ArtifactSource[]>> {
  const sources = new Map<string, ArtifactSource[]>();
  for (const record of await store.loadMany(await store.restingFetches())) {
    if (!isFetch(record) || !record.held || !isElsewhere(record.location)) continue;
    const source = { by: 'fetched' as const, from: publicLocation(record.location), at: record.held.fetchedAt };
    for (const sha256 of imagesOf(record.held.image)) sources.set(sha256, [...(sources.get(sha256) ?? []), source]);
  }
  return sources;
}

/**
 * Resolves with how many records were made and how many left the list. Safe to repeat, and for many processes at once.
 * Bytes come before their record, so a record whose bytes are not there twice, the second time while no commit may build
 * upon them, has lost them.
 */
export async function mendRecords({ records, place, store, showsAll }: MendDeps, signal: AbortSignal): Promise<number> {
  const [bytes, listed] = [await place.list(signal), new Set(await records.listed())];
  const unknown = bytes.filter(({ sha256 }) => !listed.has(sha256));
  const sources = unknown.length === 0 ? new Map<string, ArtifactSource[]>() : await sourcesByImage(store);
  for (const { sha256, sizeBytes, at } of unknown)
    await records.found({ sha256, sizeBytes }, Math.round(at), sources.get(sha256));
  const there = new Set(bytes.map(({ sha256 }) => sha256));
  const missing = [...listed].filter((sha256) => !there.has(sha256));
  let gone = 0;
  // Asked at each look: it is then that a folder becomes known as the one that has the images.
  if (!(await showsAll())) return unknown.length;
  for (const sha256 of missing) {
    // Each time: the folder may be taken away meanwhile.
    if (!(await showsAll())) break;
    const mark = await records.beginRemoval(sha256, randomUUID());
    if (mark === undefined) continue;
    if (await place.find(sha256, signal)) await records.giveUpRemoval(sha256, mark);
    else {
      await records.endRemoval(sha256, mark);
      gone += 1;
    }
  }
  return unknown.length + gone;
}
