/** Operations and stations as fleet tools see them. Certificates, signatures, network secrets and URL credentials stay inside. Pure. */
import type { Moment } from '@khumbu/operations/clock/depot-clock';
import { publicOutcome, waitingMembers } from '@khumbu/operations/events/events';
import { installSubject, type Progress } from '@khumbu/operations/events/progress';
import type { FirmwareFetchRecord } from '@khumbu/operations/kinds/firmware-fetch/record';
import { installAt, retrieveAt } from '@khumbu/operations/kinds/firmware-update/record';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { deadlineDate } from '@khumbu/operations/kinds/waiting';
import { presenceOf } from '@khumbu/operations/stations/everest-presence';
import { dialectOf, type StationState } from '@khumbu/operations/stations/station-state';
import { publicLocation } from '@khumbu/shared/locations/location';
import { rfc3339 } from '@khumbu/shared/runtime/dates';
import { withoutCredentials } from '@khumbu/shared/runtime/errors';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { OperationView } from './schemas/operations.js';
import type { StationView } from './schemas/stations.js';

export type VisibleRecord = Exclude<OperationRecord, FirmwareFetchRecord>;
export const isVisible = (record: OperationRecord): record is VisibleRecord => record.kind !== 'firmware_fetch';

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };
/** Absent instead of undefined. */
const given = <T extends object>(members: T): Given<T> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Given<T>;

const isoOf = (at: number | undefined): string | undefined => (at === undefined ? undefined : rfc3339(at));
const publicText = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : withoutCredentials(text);

/** What each kind adds. */
function own(record: VisibleRecord) {
  switch (record.kind) {
    case 'firmware_update':
      return {
        location: publicLocation(record.request.location),
        retrieveTimestamp: isoOf(retrieveAt(record)),
        installTimestamp: isoOf(installAt(record)),
        image: record.image && { sha256: record.image.sha256, sizeBytes: record.image.sizeBytes },
        permissionBy: record.permission?.by,
        supersedes: record.supersedes,
      };
    case 'log_upload':
      return {
        location: publicLocation(record.request.location),
        fileName: record.fileName,
        sizeBytes: record.sizeBytes,
        supersedes: record.supersedes,
      };
    case 'reset':
      return { resetType: record.type };
    case 'configure_network':
      return { interfaceName: record.interfaceName, supersedes: record.supersedes };
    case 'set_system_time':
      return {};
  }
}

/** Under which name it is told how far a download, an upload or an installation is; `undefined`: nothing runs. */
export function progressSubject(record: VisibleRecord): string | undefined {
  if (record.kind === 'log_upload') return record.state === 'Uploading' ? record.id : undefined;
  if (record.kind !== 'firmware_update') return undefined;
  if (record.state === 'Installing') return installSubject(record.id);
  return record.state === 'Downloading' ? record.fetch?.id : undefined;
}

/** What was told last under that name, if it is of this very run; of a process that told no run yet, as it is. */
function ownProgress(record: VisibleRecord, told: Progress | undefined): OperationView['progress'] {
  if (!told) return undefined;
  const { run, at, ...amount } = told;
  const wanted = record.kind === 'log_upload' ? record.tries : 'fetch' in record ? record.fetch?.generation : undefined;
  return run === undefined || run === wanted ? { ...amount, at: rfc3339(at) } : undefined;
}

export function operationView(record: VisibleRecord, now: Moment, progress?: Progress): OperationView {
  return {
    operationId: record.id,
    kind: record.kind,
    stationId: record.station,
    origin: record.origin,
    requestId: record.requestId,
    status: record.state,
    ended: record.endedAt !== undefined,
    createdAt: rfc3339(record.createdAt),
    updatedAt: rfc3339(record.updatedAt),
    ...given({
      askedBy: record.askedBy,
      endedAt: isoOf(record.endedAt),
      deadlineAt: isoOf(deadlineDate(record, now)),
      ...waitingMembers(record, now),
      ...own(record),
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

/** `isListed`: in the stations file, with a driver or without. */
export function stationView(
  stationId: string,
  state: StationState,
  { profile, isListed }: { readonly profile: StationProfile | undefined; readonly isListed: boolean },
  operations: OperationView[],
): StationView {
  const isInConflict = state.conflictSince !== undefined;
  const presence = presenceOf(state);
  const refused = isInConflict ? 'conflict' : profile ? undefined : isListed ? 'no_driver' : 'not_listed';
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
      refusedBecause: refused,
      bootReason: state.bootReason?.reason,
      firstSeenAt: isoOf(state.firstSeenAt),
      lastSeenAt: isoOf(state.lastSeenAt),
    }),
    operations,
  };
}
