/**
 * What was last read of each station or written, for a first try that reads nothing. Never believed: whoever decides from
 * it commits only if every field he looked at is still the same.
 */
import type { StationFields } from '@khumbu/operations/kinds/store';

/** More than a depot has stations. */
const MAX_REMEMBERED = 10_000;

const isGiven = (entry: [string, string | undefined]): entry is [string, string] => entry[1] !== undefined;

export type StationMemory = ReturnType<typeof createStationMemory>;

/** Names of stations that are `isRefused` come and go; of those nothing is remembered. */
export function createStationMemory(isRefused: (station: string) => boolean) {
  const remembered = new Map<string, StationFields>();
  const keep = (station: string, fields: StationFields): void => {
    if (isRefused(station)) return;
    if (remembered.size >= MAX_REMEMBERED && !remembered.has(station)) remembered.clear();
    remembered.set(station, fields);
  };
  return {
    of: (station: string): StationFields | undefined => remembered.get(station),
    keep,
    /** Some fields were written; `undefined`: removed. */
    update(station: string, written: Readonly<Record<string, string | undefined>>): void {
      const fields = { ...remembered.get(station), ...written };
      keep(station, Object.fromEntries(Object.entries(fields).filter(isGiven)));
    },
  };
}
