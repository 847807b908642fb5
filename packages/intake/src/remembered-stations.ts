/**
 * Stations as this process last read or wrote them, for a first try of a decision that reads nothing: it saves one of two
 * round trips to Redis (ADR 17). What is remembered is never trusted. The commit is guarded by every field that the decision
 * has looked at and by the absence of a stored answer; where one has changed it fails, and the loop reads.
 */
import type { Store, Transaction } from '@khumbu/operations/kinds/store';
import type { StationFields } from '@khumbu/operations/records/transaction';
import type { Requester } from './requester.js';

/** More than a depot has stations. */
const MAX_REMEMBERED = 10_000;

export interface Remembered {
  readonly fields: StationFields;
  /** For the commit of what was decided from these fields, also if there is nothing else to commit. */
  guard(transaction: Transaction): void;
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
      const fields = new Proxy(before, {
        get(target, field: string) {
          looked.add(field);
          return target[field];
        },
      });
      return {
        fields,
        guard(transaction) {
          for (const field of looked) transaction.expectStation(station, field, before[field]);
          if (!isFresh) transaction.expectUnanswered(station, answerKey);
        },
      };
    },
  };
}
