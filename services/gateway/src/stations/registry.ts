/**
 * The stations as the leader sees them: their addresses and their presence in memory, and the few stored fields that
 * the next leader needs (which module, the newest heartbeat, the dialect, when first and last heard).
 */

import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import type { Moment, Now } from '@khumbu/operations/clock/depot-clock';
import { type StationChange, stationEvent } from '@khumbu/operations/events/events';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import type { Store } from '@khumbu/operations/records/store';
import { readStationState, STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import type { StationAddress } from '@khumbu/shared/contract/topics';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';
import { inConflict, isAway, NOBODY, type Presence } from './presence.js';

const FLUSH_MS = 2000;
/** Stations that are stored at once, so that a large depot neither waits for one after the other nor holds up everything. */
const BATCH = 250;
/** Everything is written anew this often, for a Redis that has forgotten its last words. */
const WRITE_ALL_MS = 60_000;
/** Nobody waits longer than this for a flush: an answer must not hang on Redis. */
const PATIENCE_MS = 200;

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

export type Registry = ReturnType<typeof createRegistry>;

export function createRegistry(redis: Redis, store: Store, now: Now, log: Logger) {
  const stations = new Map<string, Station>();
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

  /** The stored fields of a station as they are now. */
  const fieldsOf = (entry: Station, { wall, steady }: Moment, mono: number): [string, string][] => {
    const { heartbeatId, heartbeatAt, heardAt, communication } = entry.presence;
    const fields: [string, string][] = [[STATION_FIELDS.moduleId, entry.moduleId]];
    const lastHeardAt = Math.max(heardAt ?? 0, entry.lastMessageAt ?? 0);
    if (lastHeardAt > 0) fields.push([STATION_FIELDS.lastSeenAt, String(Math.round(wall - (mono - lastHeardAt)))]);
    if (heartbeatId !== undefined && heartbeatAt !== undefined) {
      const at = Math.round(wall - (mono - heartbeatAt));
      fields.push([STATION_FIELDS.heartbeat, JSON.stringify({ id: heartbeatId, at, steadyAt: at - wall + steady })]);
    }
    if (communication) fields.push([STATION_FIELDS.communication, JSON.stringify(communication)]);
    if (entry.ocppConsumer !== undefined) fields.push([STATION_FIELDS.ocppConsumer, entry.ocppConsumer]);
    if (entry.learnedDialect !== 'unknown') fields.push([STATION_FIELDS.learnedDialect, entry.learnedDialect]);
    return fields;
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
      const fields = fieldsOf(entry, at, mono).filter(([name, value]) => known?.get(name) !== value);
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
    };
    stations.set(address.station, entry);
    return entry;
  };

  return {
    get: (station: string): Station | undefined => stations.get(station),
    all: (): IterableIterator<Station> => stations.values(),
    /** The station of a message, made known by its first one. A module that was renamed is followed. */
    meet(address: StationAddress): { entry: Station; isNew: boolean } {
      const known = stations.get(address.station);
      if (!known) return { entry: add(address), isNew: true };
      if (known.moduleId === address.moduleId) return { entry: known, isNew: false };
      known.moduleId = address.moduleId;
      known.dirty = true;
      return { entry: known, isNew: true };
    },
    isInConflict: (station: string): boolean => {
      const entry = stations.get(station);
      return entry !== undefined && inConflict(entry.presence, performance.now());
    },
    /**
     * Begin with what the previous leader has stored. Old heartbeats keep their age, the longer one: the steady clock
     * stands still while the whole depot is off, the date may have been set back.
     */
    async load(): Promise<void> {
      stations.clear();
      const mono = performance.now();
      for (const name of await store.stations()) {
        const state = readStationState(await store.station(name));
        if (state.moduleId === undefined) continue;
        const entry = add({ station: name, moduleId: state.moduleId });
        entry.dirty = false;
        entry.stored.heard = state.firstSeenAt !== undefined;
        entry.stored.conflict = state.conflictSince !== undefined;
        entry.stored.away = state.awaySince !== undefined;
        if (state.ocppConsumer !== undefined) entry.ocppConsumer = state.ocppConsumer;
        entry.learnedDialect = state.learnedDialect ?? 'unknown';
        const { heartbeat, communication } = state;
        const { wall, steady } = now();
        const heardAt = heartbeat && mono - Math.max(0, wall - heartbeat.at, steady - (heartbeat.steadyAt ?? steady));
        entry.presence = {
          ...NOBODY,
          ...(communication ? { communication } : {}),
          ...(heartbeat && heardAt !== undefined
            ? { heartbeatId: heartbeat.id, heartbeatAt: heardAt, heardAt, handedOver: true as const }
            : {}),
        };
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
