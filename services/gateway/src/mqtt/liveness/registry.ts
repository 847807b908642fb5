/**
 * The stations as the leader sees them: their addresses and their presence in memory, and the few stored fields that
 * the next leader needs (which module, the newest heartbeat, the dialect, when first and last heard).
 */
import type { DepotClock } from '@khumbu/operations/clock/depot-clock';
import type { Store } from '@khumbu/operations/kinds/store';
import { readStationState, type StationState } from '@khumbu/operations/stations/station-state';
import type { StationAddress } from '@khumbu/shared/contract/topics';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Redis } from 'ioredis';
import type { Standing } from '../../leader/standing.js';
import { hasDuplicateIdentity } from './duplicate-identity.js';
import { newStation, type Station } from './station.js';
import { BATCH, createStationWriter } from './station-writer.js';
import { knownBefore, storedPresence } from './stored-fields.js';
import { createUnconfiguredStations, type UnconfiguredRules } from './unconfigured-stations.js';

const FLUSH_MS = 2000;

export interface RegistryRules extends UnconfiguredRules {
  readonly messagesPerS: number;
  /** The leader alone stores anything. */
  readonly standing: () => Standing;
}

export type Registry = ReturnType<typeof createRegistry>;

export function createRegistry(
  redis: Redis,
  store: Store,
  rules: RegistryRules,
  clock: Pick<DepotClock, 'now' | 'openedAt'>,
  log: Logger,
) {
  const { now } = clock;
  const stations = new Map<string, Station>();
  const unconfigured = createUnconfiguredStations(redis, store, rules, stations);
  let timer: NodeJS.Timeout | undefined;

  const writer = createStationWriter({
    redis,
    store,
    now,
    standing: rules.standing,
    stations: () => stations.values(),
    afterwards: unconfigured.makeRoom,
    log,
  });

  const add = (address: StationAddress): Station => {
    const entry = newStation(address, rules.messagesPerS, performance.now());
    stations.set(address.station, entry);
    unconfigured.add(address.station);
    return entry;
  };

  const recall = (name: string, state: StationState): void => {
    if (state.moduleId === undefined) return;
    const entry = add({ station: name, moduleId: state.moduleId });
    Object.assign(entry, knownBefore(state), {
      presence: storedPresence(state, now(), performance.now(), clock.openedAt),
    });
  };

  return {
    get: (station: string): Station | undefined => stations.get(station),
    all: (): IterableIterator<Station> => stations.values(),
    /** How many of them the stations file does not name. */
    unconfigured: unconfigured.count,
    /**
     * The station of a message, made known by its first one. A module that was renamed is followed. `undefined`: it is not
     * configured, and there is no room for it.
     */
    meet(address: StationAddress): { entry: Station; isNew: boolean } | undefined {
      const known = stations.get(address.station);
      if (!known) {
        return unconfigured.hasRoomFor(address.station) ? { entry: add(address), isNew: true } : undefined;
      }
      if (known.moduleId === address.moduleId) return { entry: known, isNew: false };
      known.moduleId = address.moduleId;
      known.dirty = true;
      return { entry: known, isNew: true };
    },
    /** Every station that shares its identity with another one. */
    duplicates(): string[] {
      const mono = performance.now();
      return Array.from(stations.values())
        .filter(({ presence }) => hasDuplicateIdentity(presence, mono))
        .map(({ station }) => station);
    },
    isDuplicated: (station: string): boolean => {
      const entry = stations.get(station);
      return entry !== undefined && hasDuplicateIdentity(entry.presence, performance.now());
    },
    /** Begin with what the previous leader has stored. Old heartbeats keep their age. */
    async load(): Promise<void> {
      stations.clear();
      unconfigured.clear();
      const names = await store.stations();
      for (let at = 0; at < names.length; at += BATCH) {
        const batch = names.slice(at, at + BATCH);
        const fields = await Promise.all(batch.map((name) => store.station(name)));
        for (const [index, name] of batch.entries()) recall(name, readStationState(fields[index] ?? {}));
      }
    },
    start(): void {
      timer = setInterval(() => void writer.flush(), FLUSH_MS);
    },
    async stop(): Promise<void> {
      clearInterval(timer);
      await writer.flushSoon();
    },
    /** Everything, with its events. */
    flushSoon: writer.flushSoon,
    /** What is known of one station, and nothing else. */
    store: writer.store,
    storeSoon: writer.storeSoon,
  };
}
