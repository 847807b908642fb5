/** What REST shows of stations and operations: read from the store, without secrets. */
import { isOfStation, type OperationKind, type RecordOf, type StationRecord } from '@khumbu/operations/kinds/kinds';
import { createIndexKeeper } from '@khumbu/operations/records/index-keeper';
import { readStation, type StationState } from '@khumbu/operations/stations/station-state';
import type { OperationView } from '@khumbu/rest-contract/operations';
import type { StationView } from '@khumbu/rest-contract/stations';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { createOperationList, type OperationSearch } from './finding/operation-list.js';
import { createStationFacts } from './finding/station-facts.js';
import { type StationSearch, stationPage } from './finding/station-list.js';
import { cursorInvalid, Problem } from './problems.js';
import { createReadViews, type ReadViewsDeps } from './read-views.js';
import { createSearch, type Search } from './search.js';
import { createStationNames, firstBeyond } from './station-names.js';
import { operationView } from './views.js';

/** Operations, and stations, that are shown to nobody at the start. */
const WARM = 100;

export type Inventory = ReturnType<typeof createInventory>;

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

export function createInventory(deps: ReadViewsDeps) {
  const { redis, store, directory, now, eventLoopTurn } = deps;
  const { views, stationsNow, stationViews } = createReadViews(deps);
  const keeper = createIndexKeeper(redis, store);
  const search = createSearch(redis, store, keeper, eventLoopTurn);
  const stationNames = createStationNames(redis, store, directory);
  const facts = createStationFacts({ redis, store, directory, names: stationNames, eventLoopTurn });
  const wallNow = (): number => now().wall;
  const operationList = createOperationList({ redis, store, keeper, facts, now: wallNow, eventLoopTurn });

  const isListed = (station: string): boolean => directory.isConfigured(station);

  /** Heard or configured. `unknown_stations: simulated` makes no station known. */
  const known = async (station: string): Promise<StationState> => {
    const state = await readStation(store, station);
    if (state.firstSeenAt === undefined && !isListed(station))
      throw new Problem('STATION_UNKNOWN', `Its id would be ${station}.`);
    return state;
  };

  /** A page of each list, so that the first caller does not wait for what is kept between pages, nor for cold code. */
  const warmUp = async (): Promise<void> => {
    await keeper.lookAtAll();
    const { records } = await search({});
    await views((await operationList({})).records.concat(records).slice(0, WARM));
    await stationViews((await stationNames()).slice(0, WARM));
    await facts();
  };

  return {
    warmUp: reading(warmUp),
    /** What older processes have stored is looked for, before anybody waits for that. */
    lookAhead: reading(keeper.lookAtAll),
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
      const items = await stationViews(page);
      const last = rest.length > limit ? page.at(-1) : undefined;
      const nextCursor = last === undefined ? {} : { nextCursor: Buffer.from(last).toString('base64url') };
      return { items, total: names.length, ...nextCursor };
    }),
    /** Those that were chosen, in an order. Rejects with `CURSOR_INVALID`. */
    chosenStations: reading(async (wanted: StationSearch) => {
      const { names, ...rest } = stationPage(await facts(), wanted, wallNow());
      return { items: await stationViews(names), ...rest };
    }),
    /** What is known of all stations, to choose among them. */
    stationFacts: reading(facts),
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
    /** Those that were chosen, in an order, with how many there are. Rejects with `CURSOR_INVALID`. */
    chosenOperations: reading(async (wanted: OperationSearch) => {
      const { records, ...rest } = await operationList(wanted);
      return { items: await views(records), ...rest };
    }),
    operations: reading(async (wanted: Search) => {
      const { records, nextCursor } = await search(wanted);
      return { items: await views(records), ...(nextCursor === undefined ? {} : { nextCursor }) };
    }),
  };
}
