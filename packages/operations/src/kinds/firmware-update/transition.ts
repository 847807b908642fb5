/**
 * One event on one update: the record after it and the statuses EVerest is told, in order. Pure: the caller commits
 * both together (`records/store.ts`).
 */
import type { FirmwareUpdateMetadata, FirmwareUpdateStatusEnum } from '@khumbu/shared/contract/schemas';
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import type { Moment } from '../../clock/depot-clock.js';
import { type OutboxEntry, outboxEntry } from '../../outbox/entry.js';
import { type Reason, reasonOfEvent } from '../../records/reasons.js';
import { ended, inState, OFFER_MS } from '../../records/record.js';
import type { Applied, KindContext } from '../kind-definition.js';
import { speakFirmwareStatus } from './dialect.js';
import {
  type FirmwareUpdateEvent,
  type FirmwareUpdateState,
  isBeforeInstall,
  isFinalUpdateState,
  isInstalling,
  nextFirmwareUpdateState,
  statusOfState,
} from './machine.js';
import { isPaused, pauseDownload, unpaused } from './pause-download.js';
import { awaitsDelayedPermission, permissionWait, TOLD_LOOK_MS } from './permission-wait.js';
import { type FirmwareUpdateRecord, installAt, retrieveAt } from './record.js';

export interface TransitionContext extends KindContext {
  /** The trigger status is told this long before an installation that is to come later; absent: at once. */
  readonly triggerLeadMs?: number;
}

/** How long each state may last, in milliseconds. */
export const UPDATE_DEADLINES = {
  offerMs: OFFER_MS,
  downloadMs: 24 * 3600_000,
  permissionMs: 7 * 24 * 3600_000,
  installMs: 2 * 3600_000,
  rebootMs: 3600_000,
  /** Of a pause without a known end. */
  pauseMs: 31 * 24 * 3600_000,
} as const;

/** What an event brings with it. */
export interface EventDetail {
  /** Members to set on the record together with the new state. */
  readonly set?: Partial<FirmwareUpdateRecord>;
  /** Why, as a stable word; becomes the outcome's reason at the end. */
  readonly reason?: Reason;
  readonly message?: string;
  /** Passed on to the status after a reboot. */
  readonly afterBoot?: OutboxEntry['afterBoot'];
}

export type Transition = Applied<FirmwareUpdateRecord>;

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
  // A download that was told to be done has not failed; of one that was held back EVerest has heard no end yet.
  if (event === 'canceled') {
    const isTold = isBeforeInstall(before.state) && !before.heldStatuses?.includes('Downloaded');
    return isTold ? 'InstallationFailed' : 'DownloadFailed';
  }
  return undefined;
}

/** When the state it enters has lasted too long. Waiting for an asked-for time does not count. */
function deadlineOf(record: FirmwareUpdateRecord, now: Moment): number | undefined {
  const deadlines = UPDATE_DEADLINES;
  const due = (date: number | undefined): number => now.monotonic + Math.max(0, (date ?? 0) - now.wall);
  switch (record.state) {
    case 'Offered':
      return now.monotonic + deadlines.offerMs;
    case 'Accepted':
    case 'DownloadScheduled':
      return due(retrieveAt(record)) + deadlines.downloadMs;
    case 'Downloading':
      return record.deadlineAt ?? now.monotonic + deadlines.downloadMs;
    case 'Downloaded':
    case 'SignatureVerified':
    case 'InstallScheduled':
      return due(installAt(record)) + deadlines.permissionMs;
    case 'Installing':
      return now.monotonic + deadlines.installMs;
    case 'InstallRebooting':
      return now.monotonic + deadlines.rebootMs;
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
  const { fetch: _fetch, triggerHeldUntil: _until, heldStatuses: _held, downloadPaused: _paused, ...rest } = record;
  const ok = record.state === 'Installed';
  const outcome = {
    ok,
    ...(ok ? {} : { reason: detail.reason ?? REASON_OF_EVENT[event] ?? reasonOfEvent(event) }),
    ...(detail.message === undefined ? {} : { message: detail.message }),
  };
  const held = event === 'outOfTime' && isInstalling(before) ? { slotHeld: true } : {};
  return ended({ ...rest, request, ...held }, now, outcome);
}

/** A permission that is waited for is waited for in every state before the install, since the same time. */
function keptWait(
  before: FirmwareUpdateRecord,
  state: FirmwareUpdateState,
): Pick<FirmwareUpdateRecord, 'waitingFor' | 'waitingSince'> {
  const { waitingFor, updatedAt, waitingSince = updatedAt } = before;
  const waits = waitingFor === 'permission' || waitingFor === 'permission_unobtainable';
  return waits && isBeforeInstall(state) ? { waitingFor, waitingSince } : {};
}

const REASON_OF_EVENT: Partial<Record<FirmwareUpdateEvent, Reason>> = {
  fellBack: 'fell_back',
  imageLost: 'image_missing',
};

/** A status as EVerest hears it, with what the image says about connectors if it is the trigger; or nothing. */
function spoken(
  record: FirmwareUpdateRecord,
  status: FirmwareUpdateStatusEnum,
  { dialect, now }: TransitionContext,
  afterBoot?: OutboxEntry['afterBoot'],
): OutboxEntry[] {
  const word = speakFirmwareStatus(status, record.requestId, dialect);
  if (word === undefined) return [];
  const metadata = status === triggerStatus(record, dialect) ? metadataOf(record) : undefined;
  const payload = {
    firmware_update_status: word,
    request_id: record.requestId,
    ...(metadata ? { firmware_update_metadata: metadata } : {}),
  };
  return [outboxEntry('firmware_update_status', record.id, payload, now, afterBoot)];
}

/** One that EVerest gave in an earlier boot, in answer to a status that was no trigger, or to that of an update before. */
const isOfEarlierBoot = ({ permission }: FirmwareUpdateRecord, { bootEpoch }: TransitionContext): boolean =>
  permission?.by === 'everest' && permission.bootEpoch !== bootEpoch;

/** Without a permission that does not count, and waiting for another. */
function withoutEarlier(record: FirmwareUpdateRecord, context: TransitionContext): FirmwareUpdateRecord {
  if (!isOfEarlierBoot(record, context)) return record;
  const { permission: _void, ...rest } = record;
  return record.permissionNeeded ? { ...rest, waitingFor: 'permission', waitingSince: context.now.wall } : rest;
}

/** The trigger is out: from now on EVerest takes connectors out of use, and is to send its permission. */
function triggered(record: FirmwareUpdateRecord, context: TransitionContext): FirmwareUpdateRecord {
  const { askedAt: _before, ...rest } = withoutEarlier(record, context);
  const next = { ...rest, triggerEpoch: context.bootEpoch };
  const waitingFor = next.waitingFor === 'permission' ? { waitingFor: permissionWait(next, context) } : {};
  const delay = awaitsDelayedPermission(next) ? { notBefore: context.now.monotonic + TOLD_LOOK_MS } : {};
  return { ...next, ...waitingFor, ...delay };
}

/** Until when the trigger is held back, so that connectors stay in use until shortly before the install; a date. */
function holdUntil(record: FirmwareUpdateRecord, { triggerLeadMs, now }: TransitionContext): number | undefined {
  const at = installAt(record);
  if (triggerLeadMs === undefined || at === undefined || !record.permissionNeeded) return undefined;
  return at - triggerLeadMs > now.wall ? at - triggerLeadMs : undefined;
}

/**
 * EVerest is told now what was held back. A permission that an operator gave before is void if EVerest has started anew
 * since, as any other.
 */
function tellHeld(before: FirmwareUpdateRecord, context: TransitionContext, reason: Reason | undefined): Transition {
  const { triggerHeldUntil: _until, heldStatuses = [], permission, ...rest } = before;
  const { now, bootEpoch } = context;
  const given = permission?.bootEpoch === bootEpoch ? { permission } : {};
  const open: FirmwareUpdateRecord = { ...inState(rest, before.state, now, reason), ...given };
  const waits = open.permissionNeeded && open.permission === undefined;
  const wait = waits ? { waitingFor: 'permission' as const, waitingSince: now.wall } : {};
  const record = triggered({ ...open, ...wait }, context);
  return { record, statuses: heldStatuses.flatMap((status) => spoken(record, status, context)) };
}

/** Apply an event. Throws for an event the state does not know. */
export function applyUpdateEvent(
  before: FirmwareUpdateRecord,
  event: FirmwareUpdateEvent,
  context: TransitionContext,
  detail: EventDetail = {},
): Transition {
  const state = nextFirmwareUpdateState(before.state, event);
  if (event === 'triggerDue') return tellHeld(before, context, detail.reason ?? 'announced');
  if (event === 'downloadPaused') {
    const record = pauseDownload(before, context.now, detail);
    // Of a pause that it knows of it has heard.
    const isHeard = record.announced && before.downloadPaused !== true;
    return { record, statuses: isHeard ? spoken(record, 'DownloadPaused', context) : [] };
  }
  const { now, dialect } = context;
  // Told again where it heard of the pause.
  const goesOnAloud =
    event === 'fetchJoined' &&
    before.downloadPaused === true &&
    speakFirmwareStatus('DownloadPaused', before.requestId, dialect) !== undefined;
  // A repeated trigger is told again after a restart; every other event that keeps the state is silent.
  const silent = state === before.state && event !== 'stationRestarted' && !goesOnAloud;
  let record: FirmwareUpdateRecord = {
    ...inState(before, state, now, detail.reason),
    ...keptWait(before, state),
    ...detail.set,
    ...(event === 'confirmed' ? { acceptedEpoch: context.bootEpoch } : {}),
  };
  if (event === 'fetchJoined' && isPaused(before)) record = unpaused(record);
  const status =
    event === 'stationRestarted'
      ? triggerStatus(record, dialect)
      : (statusOfState(state) ?? closingStatus(before, event, dialect));
  const heard = status !== undefined && !silent && record.announced && event !== 'withdrawn' && state !== 'Withdrawn';
  const triggers = heard && status === triggerStatus(record, dialect);
  const isFinal = isFinalUpdateState(state);
  const held = isFinal ? undefined : (record.triggerHeldUntil ?? (triggers ? holdUntil(record, context) : undefined));
  if (triggers && held === undefined) record = triggered(record, context);
  // What is told again, or late, does not begin again: a station that restarts often would be waited for without end.
  const goesOn = event === 'stationRestarted' || event === 'permissionDelayed';
  const deadlineAt = goesOn ? record.deadlineAt : deadlineOf(record, now);
  if (isFinal) record = close(record, before.state, event, detail, now);
  else if (deadlineAt !== undefined) record = { ...record, deadlineAt };

  if (held !== undefined) {
    const heldStatuses = [...(record.heldStatuses ?? []), ...(heard ? [status] : [])];
    record = { ...record, triggerHeldUntil: held, heldStatuses };
    // The image has turned out to keep connectors in use: there is nothing to spare them.
    return record.permissionNeeded ? { record, statuses: [] } : tellHeld(record, context, undefined);
  }
  return { record, statuses: heard ? spoken(record, status, context, detail.afterBoot) : [] };
}
