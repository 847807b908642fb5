/** What REST shows of stations and operations: read from the store, without secrets. */
import type { Now } from '@khumbu/operations/clock/depot-clock';
import { readProgress } from '@khumbu/operations/events/progress';
import { isEnded } from '@khumbu/operations/records/kinds';
import type { Store } from '@khumbu/operations/records/store';
import { readStationState, type SlotKind, type StationState } from '@khumbu/operations/stations/station-state';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { StationDirectory } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';
import { Problem } from './problems.js';
import type { OperationView, StationView } from './schemas.js';
import { createSearch, type Search } from './search.js';
import { isVisible, operationView, progressSubject, stationView, type VisibleRecord } from './views.js';

const SLOTS: readonly SlotKind[] = ['firmware_update', 'log_upload', 'reset', 'configure_network', 'set_system_time'];

export type Inventory = ReturnType<typeof createInventory>;

/** Redis is not there, or slow: `NOT_STORED`. Problems and surprises of our own stay what they are. */
const reading =
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
  if (name === '' || Buffer.from(name).toString('base64url') !== cursor) throw new Problem('CURSOR_INVALID');
  return name;
}

export function createInventory(redis: Redis, store: Store, directory: StationDirectory, now: Now) {
  const search = createSearch(redis, store);

  const views = async (records: readonly VisibleRecord[]): Promise<OperationView[]> => {
    const running = records.flatMap((record) => progressSubject(record) ?? []);
    const said = await readProgress(redis, store.keys, running);
    const progress = new Map(running.map((subject, index) => [subject, said[index]]));
    return records.map((record) => operationView(record, now(), progress.get(progressSubject(record) ?? '')));
  };

  const stationNow = async (station: string, state: StationState): Promise<StationView> => {
    const ids = SLOTS.map((slot) => state.slot(slot)).filter((id) => id !== undefined);
    const open = (await store.loadMany(ids)).filter(isVisible).filter((record) => !isEnded(record));
    return stationView(station, state, directory.profileOf(station), await views(open));
  };

  /** Heard or configured. `unknown_stations: simulated` makes no station known. */
  const known = async (station: string): Promise<StationState | undefined> => {
    const state = readStationState(await store.station(station));
    return state.firstSeenAt !== undefined || directory.configured().includes(station) ? state : undefined;
  };

  return {
    /** The stored state of a station. Rejects with `STATION_UNKNOWN`. */
    requireStation: reading(async (station: string): Promise<StationState> => {
      const state = await known(station);
      if (!state) throw new Problem('STATION_UNKNOWN', `Its id would be ${station}.`);
      return state;
    }),
    /** Every station that was heard or is configured, by name. */
    stations: reading(async ({ limit = 100, cursor }: { limit?: number; cursor?: string }) => {
      const names = [...new Set([...(await store.stations()), ...directory.configured()])].sort();
      const after = cursor === undefined ? '' : readStationCursor(cursor);
      const rest = names.filter((name) => name > after);
      const page = rest.slice(0, limit);
      const items = await Promise.all(
        page.map(async (name) => stationNow(name, readStationState(await store.station(name)))),
      );
      const last = rest.length > limit ? page.at(-1) : undefined;
      return { items, ...(last === undefined ? {} : { nextCursor: Buffer.from(last).toString('base64url') }) };
    }),
    station: reading(async (station: string): Promise<StationView> => {
      const state = await known(station);
      if (!state) throw new Problem('STATION_UNKNOWN', `Its id would be ${station}.`);
      return stationNow(station, state);
    }),
    /** The record of an operation; of this station and kind, if named. Rejects with `OPERATION_UNKNOWN`. */
    record: reading(
      async (id: string, of?: { station: string; kind: VisibleRecord['kind'] }): Promise<VisibleRecord> => {
        const record = await store.load(id);
        const isIt = record && isVisible(record) && (!of || (record.station === of.station && record.kind === of.kind));
        if (!isIt) throw new Problem('OPERATION_UNKNOWN');
        return record;
      },
    ),
    view: reading(async (record: VisibleRecord): Promise<OperationView> => {
      const [view] = await views([record]);
      return view ?? operationView(record, now());
    }),
    /** From what is known of it, without asking the store. */
    viewAsKnown: (record: VisibleRecord): OperationView => operationView(record, now()),
    operations: reading(async (wanted: Search) => {
      const { records, nextCursor } = await search(wanted);
      return { items: await views(records), ...(nextCursor === undefined ? {} : { nextCursor }) };
    }),
  };
}
