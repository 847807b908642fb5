/**
 * A record is the stored truth about one operation. It is changed only by compare-and-set on its version
 * (`records/store.ts`); jobs, statuses and slots are derived from it or committed with it.
 */
import { randomBytes } from 'node:crypto';
import type { Moment } from '../clock/depot-clock.js';
import type { Reason } from './reasons.js';
import type { StoredWait } from './wait-words.js';

/** The shape this code writes. A process leaves records with a higher number alone. */
export const RECORD_SCHEMA = 1;

/** How long an offer waits for its answer to be out, in milliseconds. */
export const OFFER_MS = 30_000;

export type Origin = 'everest' | 'rest';

/** How an operation ended, for people and fleet tools; what EVerest heard may be less precise. */
export interface Outcome {
  readonly ok: boolean;
  /** Stable word, as `http_404` or `deadline`; absent when all went well. Written from the table `REASONS`. */
  readonly reason?: string;
  readonly message?: string;
}

export interface HistoryEntry {
  readonly at: number;
  readonly state: string;
  readonly reason?: string;
}

/** What all records have in common. Times are dates (milliseconds since 1970) unless they say otherwise. Unknown members are kept as they are. */
export interface RecordBase<K extends string = string, S extends string = string> {
  readonly schema: number;
  readonly id: string;
  readonly kind: K;
  /** Rises by one with every commit; 0 means not stored yet. */
  readonly version: number;
  /** Empty for a record of the whole depot. */
  readonly station: string;
  readonly origin: Origin;
  /** Who asked over REST: the name of the key or the subject of the token. */
  readonly askedBy?: string;
  /** What it was called by who asked over REST. */
  readonly title?: string;
  /** The bulk order it came with. */
  readonly orderId?: string;
  /** The `request_id` on the wire; -1 where there was none. May repeat: never an identity. */
  readonly requestId: number;
  readonly state: S;
  /**
   * The operation that would take this one's place, offered to the station but not answered yet. Work rests: every step
   * looks here before it acts. If the offer is withdrawn the hold goes away and work goes on as if nothing had been.
   */
  readonly heldFor?: string;
  /** Counts only with `heldFor`: since when (a date), and when the other one's offer ends at the latest (monotonic). */
  readonly hold?: { readonly since: number; readonly until?: number };
  /** Part of the job id; rises when the same job is wanted once more. */
  readonly run: number;
  /** Unexpected errors in a row; sets the pause before the next run. */
  readonly faults?: number;
  /** The next run is not to start before; monotonic, see `clock/depot-clock.ts`. */
  readonly notBefore?: number;
  /** Where the answer to the request is stored. */
  readonly answerKey?: string;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly endedAt?: number;
  /** The `endedAt` that was told and audited; written by the store alone. */
  readonly endTold?: number;
  /** An offer whose answer was sent, when the connection ended before the broker had acknowledged it. */
  readonly answerSent?: true;
  /** When the state it is in becomes a failure; monotonic. */
  readonly deadlineAt?: number;
  /** Why it waits, where its state does not say so already: see `waiting.ts`. */
  readonly waitingFor?: StoredWait;
  /** Since when it waits for that. */
  readonly waitingSince?: number;
  /** When that is over by itself, where it is not the next look (`notBefore`); monotonic. */
  readonly waitingUntil?: number;
  /** The operation that held the slot before and ends with the confirmation of this one. */
  readonly supersedes?: string;
  /** Ended while its station was being changed: the slot stays taken until the station is seen idle. */
  readonly slotHeld?: boolean;
  readonly outcome?: Outcome;
  readonly history: readonly HistoryEntry[];
}

/** What holds for a record of any kind. */
export type AnyRecord = RecordBase;

export const isEnded = (record: Pick<AnyRecord, 'endedAt'>): boolean => record.endedAt !== undefined;

export const newOperationId = (kind: string, now: Moment): string =>
  `${kind.replaceAll('_', '-')}-${now.wall.toString(36)}-${randomBytes(5).toString('hex')}`;

export const newRecordBase = <K extends string, S extends string>(
  kind: K,
  state: S,
  options: { station: string; origin: Origin; requestId: number; now: Moment; id?: string },
): RecordBase<K, S> => ({
  schema: RECORD_SCHEMA,
  id: options.id ?? newOperationId(kind, options.now),
  kind,
  version: 0,
  station: options.station,
  origin: options.origin,
  requestId: options.requestId,
  state,
  run: 1,
  createdAt: options.now.wall,
  updatedAt: options.now.wall,
  history: [{ at: options.now.wall, state }],
});

/** Of the whole depot: no station, nobody who asked, no `request_id`. Every version has stored it in these members. */
export const newDepotRecordBase = <K extends string, S extends string>(
  kind: K,
  state: S,
  options: { now: Moment; id?: string },
): RecordBase<K, S> => newRecordBase(kind, state, { station: '', origin: 'everest', requestId: -1, ...options });

type Optional<T> = { [M in keyof T]-?: object extends Pick<T, M> ? M : never }[keyof T];

/** The record without these members. */
export function without<R extends AnyRecord>(record: R, ...members: readonly Optional<AnyRecord>[]): R {
  const rest = { ...record };
  for (const member of members) delete rest[member];
  return rest;
}

/** Nothing stored keeps it waiting any more. */
export const withoutWait = <R extends AnyRecord>(record: R): R =>
  without(record, 'waitingFor', 'waitingSince', 'waitingUntil');

/** The record in another state, with its history; the caller adds what else the event changes. */
export function inState<R extends AnyRecord>(record: R, state: R['state'], now: Moment, reason?: Reason): R {
  const entry: HistoryEntry = { at: now.wall, state, ...(reason === undefined ? {} : { reason }) };
  const history = [...record.history, entry].slice(-100);
  return { ...without(withoutWait(record), 'notBefore', 'faults'), state, updatedAt: now.wall, history };
}

/** An ended record keeps no hold, no deadline and no pending work. */
export const ended = <R extends AnyRecord>(
  record: R,
  now: Moment,
  outcome: Outcome & { readonly reason?: Reason },
): R => ({
  ...without(withoutWait(record), 'heldFor', 'hold', 'deadlineAt', 'notBefore'),
  endedAt: now.wall,
  updatedAt: now.wall,
  outcome,
});
