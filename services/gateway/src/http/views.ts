/** Operations and stations as fleet tools see them. Certificates, signatures, network secrets and URL credentials stay inside. Pure. */
import type { Moment } from '@khumbu/operations/clock/depot-clock';
import { publicOutcome } from '@khumbu/operations/events/events';
import type { Progress } from '@khumbu/operations/events/progress';
import {
  deadlineDate,
  definitionOf,
  type StationRecord,
  shownStatus,
  waitingMembers,
} from '@khumbu/operations/kinds/kinds';
import { presenceOf } from '@khumbu/operations/stations/everest-presence';
import { firmwareView } from '@khumbu/operations/stations/observed-host';
import { groupsOf } from '@khumbu/operations/stations/station-groups';
import { dialectOf, type StationState } from '@khumbu/operations/stations/station-state';
import type { OperationView } from '@khumbu/rest-contract/operations';
import type { StationView } from '@khumbu/rest-contract/stations';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import { withoutCredentials } from '@khumbu/shared/runtime/errors';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';

/** Under which name it is published how far it is, and of which run; `undefined`: nothing runs. */
export const progressOf = (record: StationRecord) => definitionOf(record).progress?.(record);

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };
/** Absent instead of undefined. */
const given = <T extends object>(members: T): Given<T> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Given<T>;

const isoOf = (at: number | undefined): string | undefined => (at === undefined ? undefined : rfc3339(at));
const publicText = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : withoutCredentials(text);

/** What was told last of its progress, if it is of this very run; of a process that told no run yet, as it is. */
function ownProgress(record: StationRecord, told: Progress | undefined): OperationView['progress'] {
  if (!told) return undefined;
  const { run, at, ...amount } = told;
  return run === undefined || run === progressOf(record)?.run ? { ...amount, at: rfc3339(at) } : undefined;
}

export function operationView(record: StationRecord, now: Moment, progress?: Progress): OperationView {
  return {
    operationId: record.id,
    kind: record.kind,
    stationId: record.station,
    origin: record.origin,
    requestId: record.requestId,
    status: shownStatus(record),
    ended: record.endedAt !== undefined,
    createdAt: rfc3339(record.createdAt),
    updatedAt: rfc3339(record.updatedAt),
    ...given({
      askedBy: record.askedBy,
      title: record.title,
      orderId: record.orderId,
      endedAt: isoOf(record.endedAt),
      deadlineAt: isoOf(deadlineDate(record, now)),
      ...waitingMembers(record, now),
      ...definitionOf(record).view?.(record),
      supersedes: record.supersedes,
      progress: ownProgress(record, progress),
      outcome: record.outcome && publicOutcome(record.outcome),
    }),
    history: record.history.map(({ at, state, reason }) => ({
      at: rfc3339(at),
      status: state,
      ...given({ reason: publicText(reason) }),
    })),
  };
}

/** Why nothing is done with a station; `undefined`: it is served. `isListed`: in the stations file, with a driver or without. */
export function refusedBecause(
  { conflictSince }: Pick<StationState, 'conflictSince'>,
  profile: StationProfile | undefined,
  isListed: boolean,
): StationView['refusedBecause'] {
  if (conflictSince !== undefined) return 'conflict';
  return profile ? undefined : isListed ? 'no_driver' : 'not_listed';
}

/** `isListed`: as for `refusedBecause`. */
export function stationView(
  stationId: string,
  state: StationState,
  { profile, isListed }: { readonly profile: StationProfile | undefined; readonly isListed: boolean },
  operations: OperationView[],
  now: Moment,
): StationView {
  const isInConflict = state.conflictSince !== undefined;
  const presence = presenceOf(state);
  const { type, labels } = groupsOf(profile, state);
  return {
    stationId,
    configured: profile !== undefined,
    dialect: dialectOf(profile, state),
    conflict: isInConflict,
    presence,
    away: presence !== 'here',
    bootEpoch: state.bootEpoch,
    ...given({
      moduleId: state.moduleId,
      driver: profile?.driver,
      type,
      labels: Object.keys(labels).length > 0 ? labels : undefined,
      ownLabels: state.ownLabels,
      refusedBecause: refusedBecause(state, profile, isListed),
      bootReason: state.bootReason?.reason,
      firstSeenAt: isoOf(state.firstSeenAt),
      lastSeenAt: isoOf(state.lastSeenAt),
      firmware: state.observed && {
        ...firmwareView(state.observed),
        observedAt: rfc3339(state.observed.at),
        ageS: Math.max(0, Math.round((now.monotonic - state.observed.steadyAt) / 1000)),
      },
    }),
    operations,
  };
}
