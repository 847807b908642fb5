/** Stations and operations as REST shows them, read from the store a few at a time. */
import type { Now } from '@khumbu/operations/clock/depot-clock';
import { readProgress } from '@khumbu/operations/events/progress';
import { isOfStation, STATION_KINDS, type StationRecord } from '@khumbu/operations/kinds/kinds';
import type { Store } from '@khumbu/operations/kinds/store';
import { isEnded } from '@khumbu/operations/records/record';
import { repliesOf } from '@khumbu/operations/records/replies';
import type { StationFields } from '@khumbu/operations/records/transaction';
import { readStationState, type StationState } from '@khumbu/operations/stations/station-state';
import type { OperationView } from '@khumbu/rest-contract/operations';
import type { StationView } from '@khumbu/rest-contract/stations';
import type { OpenStationDirectory } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';
import type { EventLoopTurn } from './event-loop-turn.js';
import { operationView, progressOf, stationView } from './views.js';

/** Stations, and operations, that are read and shown in one go. */
const SOME = 25;

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

export interface ReadViewsDeps {
  /** For reading alone: nothing that a station waits for goes over it. */
  readonly redis: Redis;
  readonly store: Store;
  readonly directory: OpenStationDirectory;
  readonly now: Now;
  readonly eventLoopTurn: EventLoopTurn;
}

export function createReadViews({ redis, store, directory, now, eventLoopTurn }: ReadViewsDeps) {
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
        { profile: directory.profileOf(station), isListed: directory.isConfigured(station) },
        own,
        now(),
      );
    });
  };

  const stationViews = async (names: readonly string[]): Promise<StationView[]> => {
    const items: StationView[] = [];
    for (let at = 0; at < names.length; at += SOME) {
      if (at > 0) await eventLoopTurn();
      items.push(...(await stationsNow(await statesOf(redis, store, names.slice(at, at + SOME)))));
    }
    return items;
  };

  return { views, stationsNow, stationViews };
}
