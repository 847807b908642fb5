import type { Station } from '@khumbu/client/generated/rest-api';

type Stations = ReadonlyMap<string, Station>;

const byName = (stations: readonly Station[]): [string, Station][] => stations.map((each) => [each.stationId, each]);

/** Reads of stations that overlap. They end in any order: of each station the one that began last is shown. */
export function createStationReads() {
  let begun = 0;
  const shownBy = new Map<string, number>();
  const isTold = (stationId: string, read: number): boolean => (shownBy.get(stationId) ?? 0) > read;
  const take = (read: number, stations: readonly Station[]): [string, Station][] => {
    const newest = stations.filter(({ stationId }) => !isTold(stationId, read));
    for (const { stationId } of newest) shownBy.set(stationId, read);
    return byName(newest);
  };
  return {
    /** The number of a read that begins now. */
    begin(): number {
      begun += 1;
      return begun;
    },
    /** What is shown when some stations were read. */
    withSome: (shown: Stations, read: number, stations: readonly Station[]): Stations =>
      new Map([...shown, ...take(read, stations)]),
    /** What is shown when a station was not there any more, unless a later read has told it. */
    without(shown: Stations, read: number, stationId: string): Stations {
      if (isTold(stationId, read)) return shown;
      shownBy.set(stationId, read);
      return new Map([...shown].filter(([id]) => id !== stationId));
    },
    /** What is shown when all stations were read: one that is not among them is gone, unless a later read has told it. */
    withAll(shown: Stations, read: number, stations: readonly Station[]): Stations {
      const later = [...shown].filter(([stationId]) => isTold(stationId, read));
      // All of them first: they come in their order.
      return new Map([...byName(stations), ...take(read, stations), ...later]);
    },
  };
}
