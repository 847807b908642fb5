/** What stations are chosen and sorted by: read of all of them in a few round trips, and kept for a moment. */
import type { StationField } from '@khumbu/filter/fields';
import type { Value } from '@khumbu/filter/match';
import type { Comparison } from '@khumbu/filter/parse-filter';
import type { Store } from '@khumbu/operations/kinds/store';
import { repliesOf } from '@khumbu/operations/records/replies';
import { presenceOf } from '@khumbu/operations/stations/everest-presence';
import { groupsOf } from '@khumbu/operations/stations/station-groups';
import {
  dialectOf,
  readStationState,
  STATION_FIELDS,
  type StationState,
} from '@khumbu/operations/stations/station-state';
import type { OpenStationDirectory } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';
import type { EventLoopTurn } from '../event-loop-turn.js';
import { refusedBecause } from '../views.js';

/** Stations that are read at once. */
const BATCH = 100;
/** As long as their names are kept: a page and the next one, or a list and its operations, see the same. */
const KEPT_MS = 500;

const { firstSeenAt, lastSeenAt, heartbeat, awaySince, conflictSince, observed, learnedDialect, ownLabels, ownType } =
  STATION_FIELDS;
const READ = [
  firstSeenAt,
  lastSeenAt,
  heartbeat,
  awaySince,
  conflictSince,
  observed,
  learnedDialect,
  ownLabels,
  ownType,
];

export interface StationFacts {
  readonly station: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly values: Readonly<Record<Exclude<StationField, 'label'>, Value>>;
}

type Directory = Pick<OpenStationDirectory, 'profileOf' | 'isConfigured'>;

/** Pure but for the directory. */
function factsOf(station: string, state: StationState, directory: Directory): StationFacts {
  const profile = directory.profileOf(station);
  const { type, labels } = groupsOf(profile, state);
  return {
    station,
    labels,
    values: {
      station,
      type,
      version: state.observed?.version,
      state: refusedBecause(state, profile, directory.isConfigured(station)) ?? presenceOf(state),
      lastSeen: state.lastSeenAt,
      dialect: dialectOf(profile, state),
      driver: profile?.driver,
    },
  };
}

/** What a comparison asks a station for. */
export const factOf = ({ labels, values }: StationFacts, { field, key = '' }: Comparison): Value => {
  if (field === 'label') return Object.hasOwn(labels, key) ? labels[key] : undefined;
  return values[field as keyof typeof values];
};

export interface StationFactsDeps {
  readonly redis: Redis;
  readonly store: Pick<Store, 'keys'>;
  readonly directory: Directory;
  /** All that were heard or are configured, by name. */
  readonly names: () => Promise<readonly string[]>;
  readonly eventLoopTurn: EventLoopTurn;
}

export type ReadStationFacts = () => Promise<readonly StationFacts[]>;

export function createStationFacts({
  redis,
  store,
  directory,
  names,
  eventLoopTurn,
}: StationFactsDeps): ReadStationFacts {
  let kept: { readonly at: number; readonly facts: Promise<readonly StationFacts[]> } | undefined;

  const readSome = async (some: readonly string[]): Promise<StationFacts[]> => {
    const pipeline = redis.pipeline();
    for (const station of some) pipeline.hmget(store.keys.station(station), ...READ);
    const found = await repliesOf<(string | null)[][]>(pipeline);
    return some.map((station, at) => {
      const told = READ.flatMap((field, index) => {
        const value = found[at]?.[index];
        return value === null || value === undefined ? [] : [[field, value] as const];
      });
      return factsOf(station, readStationState(Object.fromEntries(told)), directory);
    });
  };

  const readAll = async (): Promise<readonly StationFacts[]> => {
    const all = await names();
    const facts: StationFacts[] = [];
    for (let at = 0; at < all.length; at += BATCH) {
      facts.push(...(await readSome(all.slice(at, at + BATCH))));
      await eventLoopTurn();
    }
    return facts;
  };

  return () => {
    const now = performance.now();
    if (kept && now - kept.at < KEPT_MS) return kept.facts;
    const facts = readAll();
    kept = { at: now, facts };
    facts.catch(() => {
      if (kept?.facts === facts) kept = undefined;
    });
    return facts;
  };
}
