/** What REST shows of stations and operations: read from the store, without secrets. */
import type { Now } from '@khumbu/operations/clock/depot-clock';
import { readProgress } from '@khumbu/operations/events/progress';
import {
  isOfStation,
  type OperationKind,
  type RecordOf,
  STATION_KINDS,
  type StationRecord,
} from '@khumbu/operations/kinds/kinds';
import type { Store } from '@khumbu/operations/kinds/store';
import { createIndexKeeper } from '@khumbu/operations/records/index-keeper';
import { isEnded } from '@khumbu/operations/records/record';
import { repliesOf } from '@khumbu/operations/records/replies';
import type { StationFields } from '@khumbu/operations/records/transaction';
import { readStation, readStationState, type StationState } from '@khumbu/operations/stations/station-state';
import type { OperationView } from '@khumbu/rest-contract/operations';
import type { StationView } from '@khumbu/rest-contract/stations';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { OpenStationDirectory } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';
import type { EventLoopTurn } from './event-loop-turn.js';
import { cursorInvalid, Problem } from './problems.js';
import { createSearch, type Search } from './search.js';
import { createStationNames, firstBeyond } from './station-names.js';
import { operationView, progressOf, stationView } from './views.js';

export type Inventory = ReturnType<typeof createInventory>;

/** Stations, and operations, that are read and shown in one go. */
const SOME = 25;

/** Redis is not there, or slow: `NOT_STORED`. Problems and surprises of our own stay what they are. */
export const reading =
  <A extends unknown[], R>(read: (...args: A) => Promise<R>) =>
  async (...args: A): Promise<R> => {
    try {
      return await read(...args);
    } catch (error) {
      if (error instanceof CodedError || error instanceof TypeError) throw error;
      throw new Problem('NOT_STORED', `the store does not answer: ${describeError(error)}`, {}, { cause: error });
    }
  };

/** Throws `CURSOR_INVALID` for what is no text in base64url. */
function readStationCursor(cursor: string): string {
  const name = Buffer.from(cursor, 'base64url').toString('utf8');
  if (name === '' || Buffer.from(name).toString('base64url') !== cursor) throw cursorInvalid();
  return name;
}

/** Several stations as they are stored now, in one round trip. */
async function statesOf(
  redis: Redis,
  { keys }: Pick<Store, 'keys'>,
  stations: readonly string[],
): Promise<[string, StationState][]> {
  const pipeline = redis.pipeline();
  for (const station of stations) pipeline.hgetall(keys.station(station));
  const found = await repliesOf<StationFields[]>(pipeline);
  return stations.map((station, at) => [station, readStationState(found[at] ?? {})]);
}

export interface InventoryDeps {
  /** For reading alone: nothing that a station waits for goes over it. */
  readonly redis: Redis;
  readonly store: Store;
  readonly directory: OpenStationDirectory;
  readonly now: Now;
  readonly eventLoopTurn: EventLoopTurn;
}

export function createInventory({ redis, store, directory, now, eventLoopTurn }: InventoryDeps) {
  const search = createSearch(redis, store, createIndexKeeper(redis, store), eventLoopTurn);
  const stationNames = createStationNames(redis, store, directory);

  const views = async (records: readonly StationRecord[]): Promise<OperationView[]> => {
    const all: OperationView[] = [];
    for (let at = 0; at < records.length; at += SOME) {
      if (at > 0) await eventLoopTurn();
      const some = records.slice(at, at + SOME);
      const running = some.flatMap((record) => progressOf(record)?.subject ?? []);
      const said = await readProgress(redis, store.keys, running);
      const progress = new Map(running.map((subject, index) => [subject, said[index]]));
      all.push(...some.map((record) => operationView(record, now(), progress.get(progressOf(record)?.subject ?? ''))));
    }
    return all;
  };

  const isListed = (station: string): boolean => directory.isConfigured(station);

  /** A few stations, in three looks at the store however many they are. */
  const stationsNow = async (stations: readonly [string, StationState][]): Promise<StationView[]> => {
    const ids = stations.flatMap(([, state]) =>
      STATION_KINDS.map((slot) => state.slot(slot)).filter((id) => id !== undefined),
    );
    const open = (await store.loadMany(ids)).filter(isOfStation).filter((record) => !isEnded(record));
    const shown = await views(open);
    return stations.map(([station, state]) => {
      const own = shown.filter(({ stationId }) => stationId === station);
      return stationView(
        station,
        state,
        { profile: directory.profileOf(station), isListed: isListed(station) },
        own,
        now(),
      );
    });
  };

  /** Heard or configured. `unknown_stations: simulated` makes no station known. */
  const known = async (station: string): Promise<StationState> => {
    const state = await readStation(store, station);
    if (state.firstSeenAt === undefined && !isListed(station))
      throw new Problem('STATION_UNKNOWN', `Its id would be ${station}.`);
    return state;
  };

  return {
    /** It is in the stations file, without a driver: as good as not listed. */
    isWithoutDriver: (station: string): boolean => isListed(station) && directory.profileOf(station) === undefined,
    /** Something may be done with it: it is in the stations file, with a driver. */
    isServed: (station: string): boolean => directory.profileOf(station) !== undefined,
    /** The stored state of a station. Rejects with `STATION_UNKNOWN`. */
    requireStation: reading(known),
    /** Every station that was heard or is configured, by name. */
    stations: reading(async ({ limit = 100, cursor }: { limit?: number; cursor?: string }) => {
      const names = await stationNames();
      const after = cursor === undefined ? '' : readStationCursor(cursor);
      const rest = names.slice(firstBeyond(names, after));
      const page = rest.slice(0, limit);
      const items: StationView[] = [];
      for (let at = 0; at < page.length; at += SOME) {
        if (at > 0) await eventLoopTurn();
        items.push(...(await stationsNow(await statesOf(redis, store, page.slice(at, at + SOME)))));
      }
      const last = rest.length > limit ? page.at(-1) : undefined;
      return { items, ...(last === undefined ? {} : { nextCursor: Buffer.from(last).toString('base64url') }) };
    }),
    station: reading(async (station: string): Promise<StationView> => {
      const [view] = await stationsNow([[station, await known(station)]]);
      return view as StationView;
    }),
    /** The record of an operation. Rejects with `OPERATION_UNKNOWN`. */
    record: reading(async (id: string): Promise<StationRecord> => {
      const record = await store.load(id);
      if (!record || !isOfStation(record)) throw new Problem('OPERATION_UNKNOWN');
      return record;
    }),
    /** The record of an operation of this station and kind. Rejects with `OPERATION_UNKNOWN`. */
    recordOf: reading(async <K extends OperationKind>(id: string, station: string, kind: K): Promise<RecordOf<K>> => {
      const record = await store.load(id, kind);
      if (record?.station !== station) throw new Problem('OPERATION_UNKNOWN');
      return record;
    }),
    view: reading(async (record: StationRecord): Promise<OperationView> => {
      const [view] = await views([record]);
      return view ?? operationView(record, now());
    }),
    /** From what is known of it, without asking the store. */
    viewAsKnown: (record: StationRecord): OperationView => operationView(record, now()),
    operations: reading(async (wanted: Search) => {
      const { records, nextCursor } = await search(wanted);
      return { items: await views(records), ...(nextCursor === undefined ? {} : { nextCursor }) };
    }),
  };
}
