/**
 * One event on one update: the record after it and the statuses EVerest is told, in order. Pure: the caller commits
 * both together (`records/store.ts`).
 */

import type { FirmwareUpdateMetadata, FirmwareUpdateStatusEnum } from '@khumbu/shared/contract/schemas';
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import type { Moment } from '../clock/depot-clock.js';
import { speakFirmwareStatus } from '../outbox/dialect.js';
import type { OutboxEntry } from '../outbox/entry.js';
import { outboxEntry } from '../outbox/new-entry.js';
import { ended, inState } from '../records/record.js';
import {
  type FirmwareUpdateEvent,
  type FirmwareUpdateState,
  isBeforeInstall,
  isFinalUpdateState,
  isInstalling,
  nextFirmwareUpdateState,
  STATUS_OF_STATE,
} from './machine.js';
import { type FirmwareUpdateRecord, installAt, retrieveAt } from './record.js';

export interface TransitionContext {
  readonly now: Moment;
  readonly dialect: Dialect;
  /** The station's current boot epoch. */
  readonly bootEpoch: number;
  /** How long each state may last, in milliseconds. */
  readonly deadlines: FirmwareUpdateDeadlines;
}

export interface FirmwareUpdateDeadlines {
  readonly offerMs: number;
  readonly downloadMs: number;
  readonly permissionMs: number;
  readonly installMs: number;
  readonly rebootMs: number;
}

export const DEFAULT_UPDATE_DEADLINES: FirmwareUpdateDeadlines = {
  offerMs: 30_000,
  downloadMs: 24 * 3600_000,
  permissionMs: 7 * 24 * 3600_000,
  installMs: 2 * 3600_000,
  rebootMs: 3600_000,
};

/** What an event brings with it. */
export interface EventDetail {
  /** Members to set on the record together with the new state. */
  readonly set?: Partial<FirmwareUpdateRecord>;
  /** Why, as a stable word; becomes the outcome's reason at the end. */
  readonly reason?: string;
  readonly message?: string;
  /** Passed on to the status after a reboot. */
  readonly afterBoot?: OutboxEntry['afterBoot'];
}

export interface Transition {
  readonly record: FirmwareUpdateRecord;
  readonly statuses: readonly OutboxEntry[];
}

/**
 * The status EVerest takes the connectors out of use on, and then sends the permission. Where SignatureVerified does not
 * exist (id -1 in OCPP 1.6) it is Downloaded, whether the image is signed or not.
 */
export const triggerStatus = (
  record: Pick<FirmwareUpdateRecord, 'signed' | 'requestId'>,
  dialect: Dialect,
): FirmwareUpdateStatusEnum =>
  record.signed && speakFirmwareStatus('SignatureVerified', record.requestId, dialect) !== undefined
    ? 'SignatureVerified'
    : 'Downloaded';

const metadataOf = (record: FirmwareUpdateRecord): FirmwareUpdateMetadata | undefined =>
  record.disableConnectors === undefined ? undefined : { disable_connectors_during_install: record.disableConnectors };

/**
 * What closes an update that does not end by its own status. Connectors are taken out of use at the trigger status and
 * come back only with a final one; before it EVerest has nothing to give back.
 */
function closingStatus(
  before: FirmwareUpdateRecord,
  event: FirmwareUpdateEvent,
  dialect: Dialect,
): FirmwareUpdateStatusEnum | undefined {
  if (event === 'superseded') {
    // OCPP 2.x goes on with the next update and wants nothing more of this one; OCPP 1.6 would stay unavailable.
    return before.triggerEpoch !== undefined && dialect !== 'ocpp2.x' ? 'InstallationFailed' : undefined;
  }
  // A download that was told to be done has not failed.
  if (event === 'canceled') return isBeforeInstall(before.state) ? 'InstallationFailed' : 'DownloadFailed';
  return undefined;
}

/** When the state it enters has lasted too long. Waiting for an asked-for time does not count. */
function deadlineOf(record: FirmwareUpdateRecord, context: TransitionContext): number | undefined {
  const { now, deadlines } = context;
  const due = (date: number | undefined): number => now.steady + Math.max(0, (date ?? 0) - now.wall);
  switch (record.state) {
    case 'Offered':
      return now.steady + deadlines.offerMs;
    case 'Accepted':
    case 'DownloadScheduled':
      return due(retrieveAt(record)) + deadlines.downloadMs;
    case 'Downloading':
      return record.deadlineAt ?? now.steady + deadlines.downloadMs;
    case 'Downloaded':
    case 'SignatureVerified':
    case 'InstallScheduled':
      return due(installAt(record)) + deadlines.permissionMs;
    case 'Installing':
      return now.steady + deadlines.installMs;
    case 'InstallRebooting':
      return now.steady + deadlines.rebootMs;
    default:
      return undefined;
  }
}

/** A final record keeps what people ask about later, not the certificate (7 kB each). */
function close(
  record: FirmwareUpdateRecord,
  before: FirmwareUpdateState,
  event: FirmwareUpdateEvent,
  detail: EventDetail,
  now: Moment,
): FirmwareUpdateRecord {
  const { signing_certificate: _certificate, signature: _signature, ...request } = record.request;
  const { fetch: _fetch, ...rest } = record;
  const ok = record.state === 'Installed';
  const outcome = {
    ok,
    ...(ok ? {} : { reason: detail.reason ?? REASON_OF_EVENT[event] ?? event }),
    ...(detail.message === undefined ? {} : { message: detail.message }),
  };
  const held = event === 'outOfTime' && isInstalling(before) ? { slotHeld: true } : {};
  return ended({ ...rest, request, ...held }, now, outcome);
}

/** A permission that is waited for is waited for in every state before the install, since the same time. */
function permissionWait(
  before: FirmwareUpdateRecord,
  state: FirmwareUpdateState,
): Pick<FirmwareUpdateRecord, 'waitingFor' | 'waitingSince'> {
  const { waitingFor, updatedAt, waitingSince = updatedAt } = before;
  const waits = waitingFor === 'permission' || waitingFor === 'permission_unobtainable';
  return waits && isBeforeInstall(state) ? { waitingFor, waitingSince } : {};
}

const REASON_OF_EVENT: Partial<Record<FirmwareUpdateEvent, string>> = {
  outOfTime: 'deadline',
  superseded: 'superseded',
  canceled: 'canceled',
  withdrawn: 'withdrawn',
  fellBack: 'fell_back',
  imageLost: 'image_missing',
};

/** Apply an event. Throws for an event the state does not know. */
export function applyUpdateEvent(
  before: FirmwareUpdateRecord,
  event: FirmwareUpdateEvent,
  context: TransitionContext,
  detail: EventDetail = {},
): Transition {
  const state = nextFirmwareUpdateState(before.state, event);
  const { now, dialect } = context;
  // A repeated trigger is told again after a restart; every other event that keeps the state is silent.
  const silent = state === before.state && event !== 'stationRestarted';
  let record: FirmwareUpdateRecord = {
    ...inState(before, state, now, detail.reason),
    ...permissionWait(before, state),
    ...detail.set,
  };
  const status =
    event === 'stationRestarted'
      ? triggerStatus(record, dialect)
      : (STATUS_OF_STATE[state] ?? closingStatus(before, event, dialect));
  const triggers = !silent && status === triggerStatus(record, dialect) && record.announced;
  if (triggers) record = { ...record, triggerEpoch: context.bootEpoch };
  // What is told again does not begin again: a station that restarts often would be waited for without end.
  const deadlineAt = event === 'stationRestarted' ? record.deadlineAt : deadlineOf(record, context);
  if (isFinalUpdateState(state)) record = close(record, before.state, event, detail, now);
  else if (deadlineAt !== undefined) record = { ...record, deadlineAt };

  const heard = status && !silent && record.announced && event !== 'withdrawn' && state !== 'Withdrawn';
  if (!heard) return { record, statuses: [] };
  const spoken = speakFirmwareStatus(status, record.requestId, dialect);
  if (spoken === undefined) return { record, statuses: [] };
  const metadata = triggers ? metadataOf(record) : undefined;
  const payload = {
    firmware_update_status: spoken,
    request_id: record.requestId,
    ...(metadata ? { firmware_update_metadata: metadata } : {}),
  };
  return { record, statuses: [outboxEntry('firmware_update_status', record.id, payload, now, detail.afterBoot)] };
}
