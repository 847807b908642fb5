/**
 * The stations as the leader sees them: their addresses and their presence in memory, and the few stored fields that
 * the next leader needs (which module, the newest heartbeat, the dialect, when first and last heard).
 */

import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import type { DepotClock } from '@khumbu/operations/clock/depot-clock';
import { type StationChange, stationEvent } from '@khumbu/operations/events/events';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import type { Store } from '@khumbu/operations/records/store';
import { forgetStation } from '@khumbu/operations/stations/forget-station';
import { readStationState, STATION_FIELDS, type StationState } from '@khumbu/operations/stations/station-state';
import type { StationAddress } from '@khumbu/shared/contract/topics';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';
import { type Allowance, fullAllowance } from '../bridge/allowance.js';
import { inConflict, isAway, NOBODY, type Presence } from './presence.js';
import { storedFields, storedPresence } from './stored-fields.js';

const FLUSH_MS = 2000;
/** Stations that are stored at once, so that a large depot neither waits for one after the other nor holds up everything. */
const BATCH = 250;
/** Everything is written anew this often, for a Redis that has forgotten its last words. */
const WRITE_ALL_MS = 60_000;
/** Nobody waits longer than this for a flush: an answer must not hang on Redis. */
const PATIENCE_MS = 200;
/** A stranger that was silent for this long makes room for another one. */
const STRANGER_SILENT_MS = 60_000;
/** Room is made when so much of it is taken. */
const CROWDED = 0.9;

export interface Station {
  readonly station: string;
  moduleId: string;
  presence: Presence;
  /** The module id of its `ocpp_consumer_API`, if it exposes one. */
  ocppConsumer?: string;
  /** Its OCPP side is registered at the CSMS, in this boot. */
  registered: boolean;
  learnedDialect: Dialect;
  /** When it may be told the next communication check, monotonic. */
  checkDueAt?: number;
  /** When anything at all was heard that is not a heartbeat, monotonic. */
  lastMessageAt?: number;
  /** The status it was told last, until a heartbeat shows that it was there to hear it. */
  toldUnconfirmed?: OutboxEntry | undefined;
  /** When it came to our notice in this process, monotonic. */
  readonly metAt: number;
  /** What of its messages is still worked on. */
  readonly allowance: Allowance;
  /** Changed since the last flush. */
  dirty: boolean;
  conflictReported: boolean;
  /** What of it is stored, and so was told to subscribers. */
  readonly stored: { heard: boolean; conflict: boolean; away: boolean };
  /** The fields as they were last written, and since when only what differs is. */
  written?: { readonly since: number; readonly fields: Map<string, string> };
}

/** What has happened to a station and is not stored yet. Pure. */
export function changesToStore(entry: Pick<Station, 'stored' | 'presence'>, mono: number): StationChange[] {
  const { stored, presence } = entry;
  const changes: StationChange[] = stored.heard ? [] : ['heard'];
  if (inConflict(presence, mono) !== stored.conflict) changes.push(stored.conflict ? 'conflict_over' : 'conflict');
  if (isAway(presence, mono) !== stored.away) changes.push(stored.away ? 'back' : 'away');
  return changes;
}

export interface RegistryRules {
  /** Named in the stations file. Whoever is not is a stranger. */
  readonly isConfigured: (station: string) => boolean;
  /** So many strangers are listed; the others wait until one of them has been silent for a while. */
  readonly maxStrangers: number;
  readonly messagesPerS: number;
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
  const strangers = new Set<string>();
  let timer: NodeJS.Timeout | undefined;

  /** Subscribers are told of it in the commit that stores it. */
  const storeChange = async (entry: Station, what: StationChange): Promise<void> => {
    const { wall } = now();
    const { firstSeenAt, conflictSince, awaySince } = STATION_FIELDS;
    const fields: Record<StationChange, Record<string, string | undefined>> = {
      heard: { [firstSeenAt]: String(wall) },
      restarted: {},
      conflict: { [conflictSince]: String(wall) },
      conflict_over: { [conflictSince]: undefined },
      away: { [awaySince]: String(wall) },
      back: { [awaySince]: undefined },
    };
    const change = store.change();
    if (what === 'heard') change.expectStation(entry.station, firstSeenAt, undefined);
    change.setStation(entry.station, fields[what]).tell(stationEvent(entry.station, what, wall));
    // Not committed: it was heard long ago.
    await store.commit(change);
    if (what === 'heard') entry.stored.heard = true;
    else if (what === 'conflict' || what === 'conflict_over') entry.stored.conflict = what === 'conflict';
    else if (what === 'away' || what === 'back') entry.stored.away = what === 'away';
  };

  const lastHeardOf = ({ presence, lastMessageAt, metAt }: Station): number =>
    Math.max(presence.heardAt ?? 0, lastMessageAt ?? 0, metAt);

  /** The strangers that were silent longest are forgotten, unless an operation names them. */
  const makeRoom = async (): Promise<void> => {
    if (strangers.size < rules.maxStrangers * CROWDED) return;
    const before = performance.now() - STRANGER_SILENT_MS;
    const silent = [...strangers]
      .map((name) => stations.get(name))
      .filter((entry) => entry !== undefined && lastHeardOf(entry) < before)
      .sort((a, b) => lastHeardOf(a as Station) - lastHeardOf(b as Station))
      .slice(0, BATCH) as Station[];
    for (const entry of silent) {
      if (rules.isConfigured(entry.station) || !(await forgetStation(redis, store.keys, entry.station))) {
        // Known by more than its voice: it takes nobody's place any more.
        strangers.delete(entry.station);
      } else if (lastHeardOf(entry) < before) {
        strangers.delete(entry.station);
        stations.delete(entry.station);
      } else {
        // It was heard in this very moment: all of it is written anew.
        entry.dirty = true;
        entry.stored.heard = false;
        delete entry.written;
      }
    }
  };

  /** Write what has changed, in one round trip. */
  const storeFields = async (entries: readonly Station[]): Promise<void> => {
    if (entries.length === 0) return;
    const pipeline = redis.pipeline();
    const at = now();
    const mono = performance.now();
    const writing: (readonly [Station, [string, string][]])[] = [];
    for (const entry of entries) {
      entry.dirty = false;
      const { written } = entry;
      const known = written && mono - written.since < WRITE_ALL_MS ? written.fields : undefined;
      if (!known) pipeline.sadd(store.keys.stations, entry.station);
      const fields = storedFields(entry, at, mono).filter(([name, value]) => known?.get(name) !== value);
      if (!known) entry.written = { since: mono, fields: new Map() };
      if (fields.length > 0) pipeline.hset(store.keys.station(entry.station), ...fields.flat());
      writing.push([entry, fields]);
    }
    const replies = await pipeline.exec().catch((error: Error): [Error, undefined][] => [[error, undefined]]);
    const failed = replies?.find(([error]) => error)?.[0];
    for (const [entry, fields] of writing) {
      if (failed) {
        entry.dirty = true;
        delete entry.written;
      } else for (const [name, value] of fields) entry.written?.fields.set(name, value);
    }
    if (failed) throw failed;
  };

  const flush = async (): Promise<void> => {
    const entries = Array.from(stations.values());
    for (let at = 0; at < entries.length; at += BATCH) {
      const batch = entries.slice(at, at + BATCH);
      await Promise.all(
        batch.map(async (entry) => {
          for (const what of changesToStore(entry, performance.now())) await storeChange(entry, what);
        }),
      );
      await storeFields(batch.filter(({ dirty }) => dirty));
    }
    await makeRoom();
  };
  // One after the other, so that no change is told twice. Who asks while one waits to begin is served by that one.
  let last: Promise<void> = Promise.resolve();
  let waiting: Promise<void> | undefined;
  const tick = (): Promise<void> => {
    waiting ??= last = last
      .then(() => {
        waiting = undefined;
        return flush();
      })
      .catch((error: unknown) => {
        log.debug({ reason: describeError(error) }, 'stations not stored yet');
      });
    return waiting;
  };
  /** Done, or left to the next flush if Redis takes its time. */
  const patiently = async (work: Promise<void>): Promise<void> => {
    const enough = new AbortController();
    const patience = pause(PATIENCE_MS, undefined, { signal: enough.signal }).catch(() => undefined);
    await Promise.race([work, patience]);
    enough.abort();
  };
  const flushSoon = (): Promise<void> => patiently(tick());

  const add = (address: StationAddress): Station => {
    const entry: Station = {
      station: address.station,
      moduleId: address.moduleId,
      presence: NOBODY,
      registered: false,
      learnedDialect: 'unknown',
      dirty: true,
      conflictReported: false,
      stored: { heard: false, conflict: false, away: false },
      metAt: performance.now(),
      allowance: fullAllowance(rules.messagesPerS, performance.now()),
    };
    stations.set(address.station, entry);
    if (!rules.isConfigured(address.station)) strangers.add(address.station);
    return entry;
  };

  const recall = (name: string, state: StationState): void => {
    if (state.moduleId === undefined) return;
    const entry = add({ station: name, moduleId: state.moduleId });
    entry.dirty = false;
    entry.stored.heard = state.firstSeenAt !== undefined;
    entry.stored.conflict = state.conflictSince !== undefined;
    entry.stored.away = state.awaySince !== undefined;
    if (state.ocppConsumer !== undefined) entry.ocppConsumer = state.ocppConsumer;
    entry.learnedDialect = state.learnedDialect ?? 'unknown';
    entry.presence = storedPresence(state, now(), performance.now(), clock.openedAt);
  };

  return {
    get: (station: string): Station | undefined => stations.get(station),
    all: (): IterableIterator<Station> => stations.values(),
    strangers: (): number => strangers.size,
    /**
     * The station of a message, made known by its first one. A module that was renamed is followed. `undefined`: a
     * stranger for whom there is no room.
     */
    meet(address: StationAddress): { entry: Station; isNew: boolean } | undefined {
      const known = stations.get(address.station);
      if (!known) {
        const hasRoom = strangers.size < rules.maxStrangers || rules.isConfigured(address.station);
        return hasRoom ? { entry: add(address), isNew: true } : undefined;
      }
      if (known.moduleId === address.moduleId) return { entry: known, isNew: false };
      known.moduleId = address.moduleId;
      known.dirty = true;
      return { entry: known, isNew: true };
    },
    isInConflict: (station: string): boolean => {
      const entry = stations.get(station);
      return entry !== undefined && inConflict(entry.presence, performance.now());
    },
    /** Begin with what the previous leader has stored. Old heartbeats keep their age. */
    async load(): Promise<void> {
      stations.clear();
      strangers.clear();
      const names = await store.stations();
      for (let at = 0; at < names.length; at += BATCH) {
        const batch = names.slice(at, at + BATCH);
        const fields = await Promise.all(batch.map((name) => store.station(name)));
        for (const [index, name] of batch.entries()) recall(name, readStationState(fields[index] ?? {}));
      }
    },
    start(): void {
      timer = setInterval(() => void tick(), FLUSH_MS);
    },
    async stop(): Promise<void> {
      clearInterval(timer);
      await flushSoon();
    },
    /** Everything, told to subscribers too. */
    flushSoon,
    /** What is known of one station, and nothing else. */
    storeSoon: (entry: Station): Promise<void> =>
      patiently(
        storeFields([entry]).catch((error: unknown) => log.debug({ reason: describeError(error) }, 'not stored yet')),
      ),
  };
}
