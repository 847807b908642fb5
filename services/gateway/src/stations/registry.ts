/**
 * The stations as the leader sees them: their addresses and their presence in memory, and the few stored fields that
 * the next leader needs (which module, the newest heartbeat, the dialect, when first and last heard).
 */
import { performance } from 'node:perf_hooks';
import type { Store } from '@khumbu/operations/records/store';
import { readStationState, STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import type { StationAddress } from '@khumbu/shared/contract/topics';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';
import { inConflict, NOBODY, type Presence } from './presence.js';

const FLUSH_MS = 2000;

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
  /** Changed since the last flush. */
  dirty: boolean;
  conflictReported: boolean;
}

export type Registry = ReturnType<typeof createRegistry>;

export function createRegistry(redis: Redis, store: Store, log: Logger) {
  const stations = new Map<string, Station>();
  let timer: NodeJS.Timeout | undefined;

  const flush = async (): Promise<void> => {
    const dirty = [...stations.values()].filter((station) => station.dirty);
    if (dirty.length === 0) return;
    const pipeline = redis.pipeline();
    const wall = Date.now();
    const mono = performance.now();
    for (const entry of dirty) {
      const key = store.keys.station(entry.station);
      const { heartbeatId, heartbeatAt, heardAt, communication } = entry.presence;
      pipeline.sadd(store.keys.stations, entry.station);
      pipeline.hsetnx(key, STATION_FIELDS.firstSeenAt, String(wall));
      const fields: Record<string, string> = {
        [STATION_FIELDS.moduleId]: entry.moduleId,
        [STATION_FIELDS.lastSeenAt]: String(
          Math.round(wall - (mono - Math.max(heardAt ?? 0, entry.lastMessageAt ?? 0))),
        ),
      };
      if (heartbeatId !== undefined && heartbeatAt !== undefined) {
        const at = Math.round(wall - (mono - heartbeatAt));
        fields[STATION_FIELDS.heartbeat] = JSON.stringify({ id: heartbeatId, at });
      }
      if (communication) fields[STATION_FIELDS.communication] = JSON.stringify(communication);
      if (entry.ocppConsumer !== undefined) fields[STATION_FIELDS.ocppConsumer] = entry.ocppConsumer;
      if (entry.learnedDialect !== 'unknown') fields[STATION_FIELDS.learnedDialect] = entry.learnedDialect;
      pipeline.hset(key, fields);
      if (inConflict(entry.presence, mono)) pipeline.hsetnx(key, STATION_FIELDS.conflictSince, String(wall));
      else pipeline.hdel(key, STATION_FIELDS.conflictSince);
      entry.dirty = false;
    }
    const failed = (await pipeline.exec())?.find(([error]) => error);
    if (failed?.[0]) throw failed[0];
  };
  const tick = async (): Promise<void> => {
    try {
      await flush();
    } catch (error) {
      log.debug({ reason: describeError(error) }, 'stations not stored yet');
    }
  };

  const add = (address: StationAddress): Station => {
    const entry: Station = {
      station: address.station,
      moduleId: address.moduleId,
      presence: NOBODY,
      registered: false,
      learnedDialect: 'unknown',
      dirty: true,
      conflictReported: false,
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
    /** Begin with what the previous leader has stored. Old heartbeats keep their age on our clock. */
    async load(): Promise<void> {
      stations.clear();
      const mono = performance.now();
      for (const name of await store.stations()) {
        const state = readStationState(await store.station(name));
        if (state.moduleId === undefined) continue;
        const entry = add({ station: name, moduleId: state.moduleId });
        entry.dirty = false;
        if (state.ocppConsumer !== undefined) entry.ocppConsumer = state.ocppConsumer;
        entry.learnedDialect = state.learnedDialect ?? 'unknown';
        const { heartbeat, communication } = state;
        const heardAt = heartbeat && mono - Math.max(0, Date.now() - heartbeat.at);
        entry.presence = {
          ...NOBODY,
          ...(communication ? { communication } : {}),
          ...(heartbeat && heardAt !== undefined ? { heartbeatId: heartbeat.id, heartbeatAt: heardAt, heardAt } : {}),
        };
      }
    },
    start(): void {
      timer = setInterval(() => void tick(), FLUSH_MS);
    },
    async stop(): Promise<void> {
      clearInterval(timer);
      await tick();
    },
    flushSoon: tick,
  };
}
