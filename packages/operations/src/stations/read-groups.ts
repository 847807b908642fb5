/** Types and labels of several stations as they are now: by the stations file, and as they were set over REST. */
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';
import { repliesOf } from '../records/replies.js';
import { groupsOf, type StationGroups } from './station-groups.js';
import { readStationState, STATION_FIELDS } from './station-state.js';

/** Stations that are read at once. */
const BATCH = 100;
const { ownLabels, ownType } = STATION_FIELDS;

/** Of those that were read; of others nothing is known. */
export type GroupsOf = (station: string) => StationGroups;
/** Rejects when Redis does not answer; safe to repeat. */
export type ReadGroups = (stations: readonly string[]) => Promise<GroupsOf>;

const NO_GROUPS: StationGroups = { labels: {} };
/** Where nobody asks for groups. */
export const noGroups: GroupsOf = () => NO_GROUPS;

export interface ReadGroupsDeps {
  readonly redis: Redis;
  readonly keys: Pick<Keys, 'station'>;
  /** The stations file. */
  readonly directory: { profileOf(station: string): Pick<StationProfile, 'type' | 'labels'> | undefined };
}

export const createReadGroups =
  ({ redis, keys, directory }: ReadGroupsDeps): ReadGroups =>
  async (stations) => {
    const groups = new Map<string, StationGroups>();
    const all = [...new Set(stations)];
    for (let at = 0; at < all.length; at += BATCH) {
      const some = all.slice(at, at + BATCH);
      const pipeline = redis.pipeline();
      for (const station of some) pipeline.hmget(keys.station(station), ownLabels, ownType);
      const found = await repliesOf<(string | null)[][]>(pipeline);
      for (const [index, station] of some.entries()) {
        const [labels, type] = found[index] ?? [];
        const own = readStationState({
          ...(labels ? { [ownLabels]: labels } : {}),
          ...(type ? { [ownType]: type } : {}),
        });
        groups.set(station, groupsOf(directory.profileOf(station), own));
      }
    }
    return (station) => groups.get(station) ?? NO_GROUPS;
  };
