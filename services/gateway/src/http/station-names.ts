/** The names of all stations in order, so that a page of them costs what is on it and not what all of them are. */
import type { Store } from '@khumbu/operations/kinds/store';
import type { StationDirectory } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';

/** One station may take the place of another one without a change in number. */
const KEPT_MS = 1000;

interface Kept {
  readonly at: number;
  readonly heard: number;
  readonly configured: number;
  readonly names: readonly string[];
}

/** Read and sorted anew when there is another number of them, or after a second. */
export function createStationNames(redis: Redis, store: Store, directory: Pick<StationDirectory, 'configured'>) {
  let kept: Kept | undefined;
  return async (): Promise<readonly string[]> => {
    const heard = await redis.scard(store.keys.stations);
    const configured = directory.configured();
    const now = performance.now();
    const isSame = kept?.heard === heard && kept.configured === configured.length && now - kept.at < KEPT_MS;
    if (kept && isSame) return kept.names;
    const names = [...new Set([...(await store.stations()), ...configured])].sort();
    kept = { at: now, heard, configured: configured.length, names };
    return names;
  };
}

/** Index of the first name beyond this one; their number if there is none. Pure. */
export function firstBeyond(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((names[middle] ?? '') > name) high = middle;
    else low = middle + 1;
  }
  return low;
}
