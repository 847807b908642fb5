/**
 * Stations that are heard and missing from the stations file. Anybody may invent names: so many are listed, and those that
 * were silent for longest make room for others.
 */
import type { Store } from '@khumbu/operations/kinds/store';
import { forgetStation } from '@khumbu/operations/stations/forget-station';
import type { Redis } from 'ioredis';
import type { Station } from './station.js';
import { BATCH } from './station-writer.js';

/** One that was silent for this long makes room for another one. */
const SILENT_MS = 60_000;
/** Room is made when so much of it is taken. */
const CROWDED = 0.9;

export interface UnconfiguredRules {
  /** Named in the stations file. */
  readonly isConfigured: (station: string) => boolean;
  /** So many are listed; the others wait until one of them has been silent for a while. */
  readonly maxUnconfigured: number;
}

const lastHeardOf = ({ presence, lastMessageAt, metAt }: Station): number =>
  Math.max(presence.heardAt ?? 0, lastMessageAt ?? 0, metAt);

export function createUnconfiguredStations(
  redis: Redis,
  store: Store,
  { isConfigured, maxUnconfigured }: UnconfiguredRules,
  stations: Map<string, Station>,
) {
  /** Listed and, when they were met, not configured. */
  const names = new Set<string>();

  /** The silent station is forgotten, unless an operation names it. */
  const forget = async (entry: Station, before: number): Promise<void> => {
    const { station } = entry;
    if (isConfigured(station) || !(await forgetStation(redis, store.keys, station))) {
      // Known by more than its messages: it takes no other's place any more.
      names.delete(station);
    } else if (lastHeardOf(entry) < before) {
      names.delete(station);
      stations.delete(station);
    } else {
      // It was heard in this very moment: all of it is written anew.
      entry.dirty = true;
      entry.stored.heard = false;
      delete entry.written;
    }
  };

  return {
    count: (): number => names.size,
    hasRoomFor: (station: string): boolean => names.size < maxUnconfigured || isConfigured(station),
    add(station: string): void {
      if (!isConfigured(station)) names.add(station);
    },
    clear: (): void => names.clear(),
    makeRoom: async (): Promise<void> => {
      if (names.size < maxUnconfigured * CROWDED) return;
      const before = performance.now() - SILENT_MS;
      const silent = [...names]
        .map((name) => stations.get(name))
        .filter((entry) => entry !== undefined)
        .filter((entry) => lastHeardOf(entry) < before)
        .sort((a, b) => lastHeardOf(a) - lastHeardOf(b))
        .slice(0, BATCH);
      for (const entry of silent) await forget(entry, before);
    },
  };
}
