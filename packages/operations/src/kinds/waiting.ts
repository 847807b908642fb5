/**
 * What an operation waits for: the criterion, since when, until when at most, and who can end it. Derived from the record
 * alone, so it is right for every record, whoever wrote it. Pure.
 */
import type { Moment } from '../clock/depot-clock.js';
import { type Lifter, readStoredWait, type WaitWord, waitOfWord } from '../records/wait-words.js';
import type { ConfigureNetworkState } from './configure-network/record.js';
import { type FirmwareUpdateState, isBeforeInstall } from './firmware-update/machine.js';
import { awaitedDate, type FirmwareUpdateRecord, installAt, retrieveAt } from './firmware-update/record.js';
import type { OperationRecord } from './kinds.js';
import type { LogUploadState } from './log-upload/record.js';
import type { ResetState } from './reset/record.js';
import { SYSTEM_TIME_TTL_MS, type SystemTimeRecord } from './set-system-time/record.js';

export interface Waiting {
  /** The criterion, as a stable word. */
  readonly for: WaitWord;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** When it is over at the latest, milliseconds since 1970; absent: nothing but its criterion ends it. */
  readonly until?: number;
  /** What comes at `until`: the operation goes on, fails, or ends well. */
  readonly afterwards?: 'goes_on' | 'fails' | 'ends';
  /** Who can end it, likeliest first. */
  readonly liftedBy: readonly Lifter[];
  /** More, for people. May quote a URL. */
  readonly detail?: string;
}

/** Every operation of a station; the depot's fetches are nobody's operation. */
export type WaitingRecord = Exclude<OperationRecord, { readonly kind: 'firmware_fetch' }>;

/** What each state waits for where nothing else was stored; `undefined`: it is final. */
export const WAIT_OF_STATE: {
  readonly firmware_update: Readonly<Record<FirmwareUpdateState, WaitWord | undefined>>;
  readonly log_upload: Readonly<Record<LogUploadState, WaitWord | undefined>>;
  readonly reset: Readonly<Record<ResetState, WaitWord | undefined>>;
  readonly configure_network: Readonly<Record<ConfigureNetworkState, WaitWord | undefined>>;
  readonly set_system_time: Readonly<Record<SystemTimeRecord['state'], WaitWord | undefined>>;
} = {
  firmware_update: {
    Offered: 'answer',
    Accepted: 'worker',
    DownloadScheduled: 'worker',
    Downloading: 'download',
    Downloaded: 'worker',
    SignatureVerified: 'worker',
    InstallScheduled: 'worker',
    Installing: 'installation',
    InstallRebooting: 'reboot',
    Installed: undefined,
    DownloadFailed: undefined,
    InvalidSignature: undefined,
    InstallVerificationFailed: undefined,
    InstallationFailed: undefined,
    Superseded: undefined,
    Canceled: undefined,
    Withdrawn: undefined,
  },
  log_upload: {
    Offered: 'answer',
    Accepted: 'worker',
    Uploading: 'upload',
    Uploaded: undefined,
    UploadFailure: undefined,
    BadMessage: undefined,
    PermissionDenied: undefined,
    NotSupportedOperation: undefined,
    Superseded: undefined,
    Canceled: undefined,
    Withdrawn: undefined,
  },
  reset: {
    Accepted: 'worker',
    Resetting: 'restart',
    Restarting: 'new_boot',
    Restarted: undefined,
    Failed: undefined,
    Superseded: undefined,
  },
  configure_network: {
    Offered: 'answer',
    Accepted: 'network',
    Ready: undefined,
    Failed: undefined,
    Superseded: undefined,
    Withdrawn: undefined,
  },
  set_system_time: { Pending: 'clock', Done: undefined },
};

const tableOf = (kind: WaitingRecord['kind']): Readonly<Record<string, WaitWord | undefined>> => WAIT_OF_STATE[kind];

/** What an update waits for by its dates, its fetch and its permission, whatever was stored. */
function ofUpdate(record: FirmwareUpdateRecord, now: Moment): WaitWord | undefined {
  const { state } = record;
  if ((state === 'Accepted' || state === 'DownloadScheduled') && (retrieveAt(record) ?? 0) > now.wall)
    return 'retrieve_timestamp';
  if (state === 'Downloading' && !record.fetch) return 'worker';
  if (state === 'Downloaded' && record.signed) return 'verification';
  if (!isBeforeInstall(state)) return undefined;
  if (record.triggerHeldUntil !== undefined) return 'announcement';
  if (record.permissionNeeded && record.permission === undefined) return 'permission';
  return (installAt(record) ?? 0) > now.wall ? 'install_timestamp' : undefined;
}

/** When the state it is in began. */
function stateSince({ history, state, updatedAt }: WaitingRecord): number {
  let since = updatedAt;
  for (let at = history.length - 1; at >= 0 && history[at]?.state === state; at--) since = history[at]?.at ?? since;
  return since;
}

/** When the image was ready to be installed. */
function readySince(record: FirmwareUpdateRecord): number {
  const isReady = (state: string | undefined): boolean =>
    isBeforeInstall(state as FirmwareUpdateState) && !(record.signed && state === 'Downloaded');
  let since = record.updatedAt;
  const { history } = record;
  for (let at = history.length - 1; at >= 0 && isReady(history[at]?.state); at--) since = history[at]?.at ?? since;
  return since;
}

/** The last one that RFC 3339 has digits for. */
const LAST_DATE = Date.UTC(9999, 11, 31, 23, 59, 59);

/** A time on the monotonic clock as a date, to the second: an estimate, right as long as the depot runs. */
export const dateOfMonotonic = (monotonic: number, now: Moment): number =>
  Math.min(LAST_DATE, Math.round((now.wall + monotonic - now.monotonic) / 1000) * 1000);

/** When the state it is in becomes a failure, as a date; not before a date that was asked for. */
export function deadlineDate(record: OperationRecord, now: Moment): number | undefined {
  if (record.deadlineAt === undefined) return undefined;
  const date = dateOfMonotonic(record.deadlineAt, now);
  const asked = record.kind === 'firmware_update' ? (awaitedDate(record) ?? 0) : 0;
  return Math.min(LAST_DATE, Math.max(date, asked));
}

interface Found {
  readonly word: WaitWord;
  readonly since: number;
  readonly detail?: string;
}

function find(record: WaitingRecord, now: Moment): Found | undefined {
  const { endedAt, heldFor, notBefore } = record;
  const stored = readStoredWait(record.waitingFor);
  const storedSince = record.waitingSince ?? record.updatedAt;
  if (endedAt !== undefined) {
    if (!('slotHeld' in record) || record.slotHeld !== true) return undefined;
    return stored ? { ...stored, since: storedSince } : { word: 'station_busy', since: endedAt };
  }
  if (heldFor !== undefined) return { word: 'successor', since: record.hold?.since ?? record.updatedAt };
  // A pause that is over is not what it waits for any more.
  const isOver = stored && waitOfWord(stored.word).limit === 'pause' && (notBefore ?? 0) <= now.monotonic;
  const byUpdate = record.kind === 'firmware_update' ? ofUpdate(record, now) : undefined;
  // Nobody has been asked for the permission yet.
  const isEarly = byUpdate === 'announcement' && stored?.word.startsWith('permission') === true;
  if (stored && !isOver && !isEarly) return { ...stored, since: storedSince };
  if (byUpdate === 'permission')
    return { word: byUpdate, since: record.waitingSince ?? readySince(record as FirmwareUpdateRecord) };
  const word = byUpdate ?? (isOver ? 'worker' : tableOf(record.kind)[record.state]);
  return word && { word, since: stateSince(record) };
}

type End = Pick<Waiting, 'until' | 'afterwards'>;

/** When the wait is over at the latest. */
function endOf(record: WaitingRecord, word: WaitWord, now: Moment): End {
  const deadline = deadlineDate(record, now);
  const byDeadline: End =
    deadline === undefined
      ? {}
      : { until: deadline, afterwards: record.kind === 'reset' && record.state === 'Restarting' ? 'ends' : 'fails' };
  const on = (until: number | undefined): End =>
    until === undefined || (deadline !== undefined && deadline < until) ? byDeadline : { until, afterwards: 'goes_on' };
  const onMonotonic = (monotonic: number | undefined): End =>
    on(monotonic === undefined ? undefined : dateOfMonotonic(monotonic, now));
  switch (waitOfWord(word).limit) {
    case 'deadline':
      return byDeadline;
    case 'pause':
      return onMonotonic(record.waitingUntil ?? record.notBefore);
    case 'successor':
      return onMonotonic(record.hold?.until);
    case 'retrieve':
      return on(record.kind === 'firmware_update' ? retrieveAt(record) : undefined);
    case 'install':
      return on(record.kind === 'firmware_update' ? installAt(record) : undefined);
    case 'hold':
      return on(record.kind === 'firmware_update' ? record.triggerHeldUntil : undefined);
    case 'told':
      return { until: record.updatedAt + SYSTEM_TIME_TTL_MS, afterwards: 'fails' };
  }
}

/**
 * The word as older readers know it, with the text of an error; `undefined` while somebody is at work on it. Pure.
 */
export const waitingForOf = (waiting: Waiting): string | undefined =>
  waitOfWord(waiting.for).atWork
    ? undefined
    : waiting.detail === undefined
      ? waiting.for
      : `${waiting.for}: ${waiting.detail}`;

/** `undefined`: it has ended, and nothing of it is left to be done. */
export function waitingOf(record: WaitingRecord, now: Moment): Waiting | undefined {
  const found = find(record, now);
  if (!found) return undefined;
  const { word, since, detail } = found;
  const row = waitOfWord(word);
  const isSilent = word === 'permission' && record.kind === 'firmware_update' && !record.announced;
  return {
    for: word,
    since,
    ...endOf(record, word, now),
    liftedBy: isSilent ? ['operator'] : row.liftedBy,
    ...(detail === undefined ? {} : { detail }),
  };
}
