/** Stores what has changed of the stations: many at once, and no answer waits for it long. */
import type { DepotClock } from '@khumbu/operations/clock/depot-clock';
import { stationEvent } from '@khumbu/operations/events/events';
import type { Store } from '@khumbu/operations/kinds/store';
import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { resolveWithin } from '@khumbu/shared/runtime/abort';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Redis } from 'ioredis';
import { assertMay, MAY, type Standing } from '../../leader/standing.js';
import { changesToStore, type NoticedChange, type Station } from './station.js';
import { storedFields } from './stored-fields.js';

/** Stations that are stored or read at once, so that a large depot neither waits for one after the other nor holds up everything. */
export const BATCH = 250;
/** Everything is written anew and looked at this often: Redis may have forgotten its last words, or heard late ones. */
const WRITE_ALL_MS = 60_000;
/** What waits for a flush waits no longer than this: an answer must not hang on Redis. */
const PATIENCE_MS = 200;

type LastingChange = Exclude<NoticedChange, 'heard'>;
/** What each change is stored as, and whether that is there then. */
const CHANGED_FIELD: Record<LastingChange, readonly [field: string, isSet: boolean]> = {
  conflict: [STATION_FIELDS.conflictSince, true],
  conflict_over: [STATION_FIELDS.conflictSince, false],
  away: [STATION_FIELDS.awaySince, true],
  back: [STATION_FIELDS.awaySince, false],
};

export interface StationWriterDeps {
  readonly redis: Redis;
  readonly store: Store;
  readonly now: DepotClock['now'];
  /** What an earlier leader still knows is not stored. */
  readonly standing: () => Standing;
  /** All there are. */
  readonly stations: () => Iterable<Station>;
  /** To be done after each flush. */
  readonly afterwards: () => Promise<void>;
  readonly log: Logger;
}

const { firstSeenAt, conflictSince, awaySince, heartbeat } = STATION_FIELDS;

/** What was noticed of one station, each change in a commit of its own. */
function createChangeWriter({ store, now, standing }: Pick<StationWriterDeps, 'store' | 'now' | 'standing'>) {
  /** Its event is in the commit that stores it. Nothing is read first: the station is listed right after. */
  const storeHeard = async ({ station, stored }: Station): Promise<void> => {
    const { wall } = now();
    const transaction = store
      .transaction()
      .expectStation(station, firstSeenAt, undefined)
      .setStation(station, { [firstSeenAt]: String(wall) })
      .emitEvent(stationEvent(station, 'heard', wall));
    // Not committed: it was heard long ago.
    await store.commit(transaction);
    stored.heard = true;
  };

  /**
   * A commit that comes late (a connection that was cut, a process that was frozen) fails: by then the next leader has
   * stored a heartbeat that is newer.
   */
  const storeChange = async ({ station, stored }: Station, what: LastingChange): Promise<void> => {
    const [field, isSet] = CHANGED_FIELD[what];
    const before = await store.station(station);
    if ((before[field] !== undefined) !== isSet) {
      assertMay(standing(), 'store');
      const { wall } = now();
      const transaction = store
        .transaction()
        .expectStation(station, field, before[field])
        .expectStation(station, heartbeat, before[heartbeat])
        .setStation(station, { [field]: isSet ? String(wall) : undefined })
        .emitEvent(stationEvent(station, what, wall));
      // The next flush looks again.
      if (!(await store.commit(transaction))) return;
    }
    if (field === conflictSince) stored.duplicate = isSet;
    else stored.away = isSet;
  };

  return async (entry: Station): Promise<void> => {
    for (const what of changesToStore(entry, performance.now()))
      await (what === 'heard' ? storeHeard(entry) : storeChange(entry, what));
  };
}

/** The fields of many stations that have changed, in one round trip. */
const createFieldsWriter =
  ({ redis, store, now, standing }: Pick<StationWriterDeps, 'redis' | 'store' | 'now' | 'standing'>) =>
  async (entries: readonly Station[]): Promise<void> => {
    if (entries.length === 0) return;
    assertMay(standing(), 'store');
    const pipeline = redis.pipeline();
    const at = now();
    const mono = performance.now();
    const writing: (readonly [Station, [string, string][]])[] = [];
    for (const entry of entries) {
      entry.dirty = false;
      const { written } = entry;
      const known = written && mono - written.since < WRITE_ALL_MS ? written.fields : undefined;
      if (!known) {
        pipeline.sadd(store.keys.stations, entry.station);
        pipeline.hmget(store.keys.station(entry.station), conflictSince, awaySince, (_error, found) => {
          if (!found) return;
          entry.stored.duplicate = found[0] !== null;
          entry.stored.away = found[1] !== null;
        });
      }
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

export function createStationWriter(deps: StationWriterDeps) {
  const { standing, stations, afterwards, log } = deps;
  const storeChanges = createChangeWriter(deps);
  const storeFields = createFieldsWriter(deps);

  const flush = async (): Promise<void> => {
    if (!MAY[standing()].store) return;
    const entries = Array.from(stations());
    for (let at = 0; at < entries.length; at += BATCH) {
      const batch = entries.slice(at, at + BATCH);
      await Promise.all(batch.map(storeChanges));
      await storeFields(batch.filter(({ dirty }) => dirty));
    }
    await afterwards();
  };
  // One after the other, so that no event is emitted twice. A flush that waits to begin serves all that ask for one meanwhile.
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
  const patiently = (work: Promise<void>): Promise<void> => resolveWithin(work, PATIENCE_MS, undefined);

  return {
    /** All that has changed, with its events. Never rejects: what could not be stored is left to the next flush. */
    flush: tick,
    flushSoon: (): Promise<void> => patiently(tick()),
    /** What is known of one station, and nothing else. Rejects when it is not stored. */
    store: (entry: Station): Promise<void> => storeFields([entry]),
    /** The same, or left to the next flush if Redis takes its time. */
    storeSoon: (entry: Station): Promise<void> =>
      patiently(
        storeFields([entry]).catch((error: unknown) => log.debug({ reason: describeError(error) }, 'not stored yet')),
      ),
  };
}
