/**
 * The stations as the leader sees them: their addresses and their presence in memory, and the few stored fields that
 * the next leader needs (which module, the newest heartbeat, the dialect, when first and last heard).
 */

import { performance } from 'node:perf_hooks';
import type { DepotClock } from '@khumbu/operations/clock/depot-clock';
import type { Store } from '@khumbu/operations/kinds/store';
import { forgetStation } from '@khumbu/operations/stations/forget-station';
import { readStationState, type StationState } from '@khumbu/operations/stations/station-state';
import type { StationAddress } from '@khumbu/shared/contract/topics';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Redis } from 'ioredis';
import type { Standing } from '../../leader/standing.js';
import { fullBuckets } from '../session/token-bucket.js';
import { hasDuplicateIdentity } from './duplicate-identity.js';
import { NEVER_HEARD } from './presence.js';
import type { Station } from './station.js';
import { BATCH, createStationWriter } from './station-writer.js';
import { storedPresence } from './stored-fields.js';

const FLUSH_MS = 2000;
/** A stranger that was silent for this long makes room for another one. */
const UNCONFIGURED_SILENT_MS = 60_000;
/** Room is made when so much of it is taken. */
const CROWDED = 0.9;

export interface RegistryRules {
  /** Named in the stations file. Whoever is not is a stranger. */
  readonly isConfigured: (station: string) => boolean;
  /** So many unconfigured stations are listed; the others wait until one of them has been silent for a while. */
  readonly maxUnconfigured: number;
  readonly messagesPerS: number;
  /** Only who leads stores anything. */
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
  /** Listed and, when they were met, not configured. */
  const unconfigured = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  const lastHeardOf = ({ presence, lastMessageAt, metAt }: Station): number =>
    Math.max(presence.heardAt ?? 0, lastMessageAt ?? 0, metAt);

  /** The unconfigured stations that were silent longest are forgotten, unless an operation names them. */
  const makeRoom = async (): Promise<void> => {
    if (unconfigured.size < rules.maxUnconfigured * CROWDED) return;
    const before = performance.now() - UNCONFIGURED_SILENT_MS;
    const silent = [...unconfigured]
      .map((name) => stations.get(name))
      .filter((entry) => entry !== undefined && lastHeardOf(entry) < before)
      .sort((a, b) => lastHeardOf(a as Station) - lastHeardOf(b as Station))
      .slice(0, BATCH) as Station[];
    for (const entry of silent) {
      if (rules.isConfigured(entry.station) || !(await forgetStation(redis, store.keys, entry.station))) {
        // Known by more than its voice: it takes nobody's place any more.
        unconfigured.delete(entry.station);
      } else if (lastHeardOf(entry) < before) {
        unconfigured.delete(entry.station);
        stations.delete(entry.station);
      } else {
        // It was heard in this very moment: all of it is written anew.
        entry.dirty = true;
        entry.stored.heard = false;
        delete entry.written;
      }
    }
  };

  const writer = createStationWriter({
    redis,
    store,
    now,
    standing: rules.standing,
    stations: () => stations.values(),
    afterwards: makeRoom,
    log,
  });

  const add = (address: StationAddress): Station => {
    const entry: Station = {
      station: address.station,
      moduleId: address.moduleId,
      presence: NEVER_HEARD,
      registered: false,
      bootsNoticed: 0,
      bootsCounted: 0,
      bootsByQuestion: 0,
      learnedDialect: 'unknown',
      dirty: true,
      duplicateReported: false,
      stored: { heard: false, duplicate: false, away: false },
      metAt: performance.now(),
      buckets: fullBuckets(rules.messagesPerS, performance.now()),
    };
    stations.set(address.station, entry);
    if (!rules.isConfigured(address.station)) unconfigured.add(address.station);
    return entry;
  };

  const recall = (name: string, state: StationState): void => {
    if (state.moduleId === undefined) return;
    const entry = add({ station: name, moduleId: state.moduleId });
    entry.dirty = false;
    entry.stored.heard = state.firstSeenAt !== undefined;
    entry.stored.duplicate = state.conflictSince !== undefined;
    entry.stored.away = state.awaySince !== undefined;
    if (state.ocppConsumer !== undefined) entry.ocppConsumer = state.ocppConsumer;
    entry.learnedDialect = state.learnedDialect ?? 'unknown';
    entry.presence = storedPresence(state, now(), performance.now(), clock.openedAt);
  };

  return {
    get: (station: string): Station | undefined => stations.get(station),
    all: (): IterableIterator<Station> => stations.values(),
    unconfigured: (): number => unconfigured.size,
    /**
     * The station of a message, made known by its first one. A module that was renamed is followed. `undefined`: a
     * stranger for whom there is no room.
     */
    meet(address: StationAddress): { entry: Station; isNew: boolean } | undefined {
      const known = stations.get(address.station);
      if (!known) {
        const hasRoom = unconfigured.size < rules.maxUnconfigured || rules.isConfigured(address.station);
        return hasRoom ? { entry: add(address), isNew: true } : undefined;
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
    /** Everything, told to subscribers too. */
    flushSoon: writer.flushSoon,
    /** What is known of one station, and nothing else. */
    storeSoon: writer.storeSoon,
  };
}
