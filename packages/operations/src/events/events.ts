/**
 * What subscribers hear of: every committed state of every operation, and what happens to stations. Events are made in
 * the commit they tell of, so none is lost and none tells of what is not stored. Pure. They hold no secrets.
 */
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import { withoutCredentials } from '@khumbu/shared/runtime/errors';
import type { Moment } from '../clock/depot-clock.js';
import { type AnyRecord, isEnded, type Origin, type Outcome } from '../records/record.js';
import type { Lifter } from '../records/wait-words.js';
import { type Waiting, type WaitRules, waitingBy, waitingForOf } from '../records/waiting.js';
import type { Pace } from './pace.js';

export const STATION_CHANGES = ['heard', 'restarted', 'conflict', 'conflict_over', 'away', 'back', 'firmware'] as const;
/**
 * `heard`: for the first time. `restarted`: EVerest has started anew. `conflict`: two stations use one identity.
 * `away`: its heartbeats have stopped; `back`: they go on. `firmware`: it runs another one, or one that was not known.
 */
export type StationChange = (typeof STATION_CHANGES)[number];

export interface OperationEvent {
  readonly type: 'operation';
  /** RFC 3339. */
  readonly at: string;
  readonly stationId: string;
  readonly operationId: string;
  readonly kind: string;
  readonly origin: Origin;
  readonly status: string;
  /** Rises with every change of the operation. */
  readonly version: number;
  readonly ended: boolean;
  readonly waitingFor?: string;
  readonly waiting?: PublicWaiting;
  readonly outcome?: Outcome;
}

export interface StationEvent extends Pick<OperationEvent, 'at' | 'stationId'> {
  readonly type: 'station';
  readonly change: StationChange;
  readonly bootEpoch?: number;
  readonly bootReason?: string;
  readonly firmware?: {
    readonly version?: string;
    readonly slot?: string;
    readonly installedAt?: string;
    readonly by?: string;
  };
}

/** How far a download, an upload or an installation is. Told about once a second while it runs, to those who listen then; never replayed. */
export interface ProgressEvent extends Pick<OperationEvent, 'at' | 'stationId' | 'operationId' | 'kind'>, Pace {
  readonly type: 'progress';
  readonly bytes?: number;
  readonly totalBytes?: number;
  /** Of a log upload: records that were read at the station. */
  readonly records?: number;
  /** Of an installation, 0 to 100, as the station says. */
  readonly percent?: number;
}

export type StoredEvent = OperationEvent | StationEvent;

/** What an operation waits for, as it is told: dates in RFC 3339. */
export interface PublicWaiting extends Omit<Waiting, 'since' | 'until' | 'liftedBy'> {
  readonly liftedBy: Lifter[];
  readonly since: string;
  readonly until?: string;
}

/** An error may quote a URL. */
function publicWaiting(waiting: Waiting): PublicWaiting {
  const { since, until, detail, liftedBy, ...rest } = waiting;
  return {
    ...rest,
    liftedBy: [...liftedBy],
    since: rfc3339(since),
    ...(until === undefined ? {} : { until: rfc3339(until) }),
    ...(detail === undefined ? {} : { detail: withoutCredentials(detail) }),
  };
}

/** Both spellings of what it waits for: the word alone, as it always was, and the whole of it. */
export function waitingMembersBy<R extends AnyRecord>(
  rules: WaitRules<R>,
  record: R,
  now: Moment,
): { readonly waitingFor?: string; readonly waiting?: PublicWaiting } {
  const waiting = waitingBy(rules, record, now);
  if (!waiting) return {};
  const word = waitingForOf(waiting);
  return {
    ...(word === undefined ? {} : { waitingFor: withoutCredentials(word) }),
    waiting: publicWaiting(waiting),
  };
}

/** A message may quote a URL. */
export const publicOutcome = (outcome: Outcome): Outcome =>
  outcome.message === undefined ? outcome : { ...outcome, message: withoutCredentials(outcome.message) };

/** The event of a record of a station that is about to be stored as `version`. */
export const operationEventBy = <R extends AnyRecord>(
  rules: WaitRules<R>,
  record: R,
  version: number,
  now: Moment,
): OperationEvent => ({
  type: 'operation',
  at: rfc3339(record.updatedAt),
  stationId: record.station,
  operationId: record.id,
  kind: record.kind,
  origin: record.origin,
  status: record.state,
  version,
  ended: isEnded(record),
  ...waitingMembersBy(rules, record, now),
  ...(record.outcome ? { outcome: publicOutcome(record.outcome) } : {}),
});

export const stationEvent = (
  stationId: string,
  change: StationChange,
  now: number,
  boot?: { readonly bootEpoch: number; readonly bootReason: string },
): StationEvent => ({ type: 'station', at: rfc3339(now), stationId, change, ...boot });
