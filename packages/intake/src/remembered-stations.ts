/**
 * Stations as this process last read or wrote them, for a first try of a decision that reads nothing: it saves one of two
 * round trips to Redis (ADR 17). What is remembered is never trusted. The commit is guarded by every field that the decision
 * has looked at and by the absence of a stored answer; where one has changed it fails, and the loop reads.
 */
import type { StationKind } from '@khumbu/operations/kinds/kinds';
import type { Store, Transaction } from '@khumbu/operations/kinds/store';
import { slotField } from '@khumbu/operations/records/keys';
import type { StationFields } from '@khumbu/operations/records/transaction';
import { readStationState, type StationState } from '@khumbu/operations/stations/station-state';
import type { Requester } from './requester.js';

/** More than a depot has stations. */
const MAX_REMEMBERED = 10_000;

export interface Remembered {
  readonly state: StationState;
  /** For the commit of what was decided from this state, also if there is nothing else to commit. */
  guard(transaction: Transaction): void;
}

/** The state, which tells what of it is looked at. Most of its fields change with every heartbeat, and hardly any decision cares. */
function watchedState(fields: StationFields, onLook: (field: string) => void): StationState {
  const watch = <T extends object>(target: T, without: readonly string[] = []): T =>
    new Proxy(target, {
      get(from, name: string) {
        if (!without.includes(name)) onLook(name);
        return Reflect.get(from, name);
      },
    });
  const watched = watch(fields);
  const state = { ...readStationState(fields), fields: watched, slot: (kind: StationKind) => watched[slotField(kind)] };
  return watch(state, ['fields', 'slot']);
}

export type RememberedStations = ReturnType<typeof createRememberedStations>;

/** Nothing is remembered of stations that are not configured: names can be invented without end. */
export function createRememberedStations(store: Store, isConfigured: (station: string) => boolean) {
  const known = new Map<string, StationFields>();
  const tried = new WeakSet<Requester>();

  /** Of the remembered stations, what a commit has written. */
  const learnFrom = ({ ops }: Transaction): void => {
    for (const [command, key = '', ...args] of ops) {
      const before = known.get(key);
      if (!before || (command !== 'HSET' && command !== 'HDEL')) continue;
      const fields = { ...before };
      if (command === 'HDEL') for (const field of args) delete fields[field];
      else for (let at = 0; at < args.length; at += 2) fields[args[at] ?? ''] = args[at + 1] ?? '';
      known.set(key, fields);
    }
  };

  const watched: Store = {
    ...store,
    async commit(transaction) {
      const stored = await store.commit(transaction);
      if (stored) learnFrom(transaction);
      return stored;
    },
  };

  return {
    /** The same store; what is committed to it is remembered. */
    store: watched,

    learn(station: string, fields: StationFields): void {
      if (!isConfigured(station)) return;
      const key = store.keys.station(station);
      if (known.size >= MAX_REMEMBERED && !known.has(key)) known.clear();
      known.set(key, fields);
    },

    /** For the first try of each request; `undefined`: read. */
    firstTry(requester: Requester): Remembered | undefined {
      const { station, answerKey, isFresh } = requester;
      const before = known.get(store.keys.station(station));
      if (!before || tried.has(requester) || !isConfigured(station)) return undefined;
      tried.add(requester);
      const looked = new Set<string>();
      return {
        state: watchedState(before, (field) => looked.add(field)),
        guard(transaction) {
          for (const field of looked) transaction.expectStation(station, field, before[field]);
          if (!isFresh) transaction.expectUnanswered(station, answerKey);
        },
      };
    },
  };
}
