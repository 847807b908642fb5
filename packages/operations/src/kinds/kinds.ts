/** All kinds of record, and what generic code asks about them. */
import type { Moment } from '../clock/depot-clock.js';
import { type OperationEvent, operationEventBy, waitingMembersBy } from '../events/events.js';
import type { OutboxEntry } from '../outbox/entry.js';
import type { AnyRecord } from '../records/record.js';
import { withoutQuotedSecrets } from '../records/secrets.js';
import { deadlineBy, isOverdueBy, type Waiting, waitingBy } from '../records/waiting.js';
import { configureNetwork } from './configure-network/definition.js';
import type { ConfigureNetworkRecord } from './configure-network/record.js';
import { firmwareFetch } from './firmware-fetch/definition.js';
import type { FirmwareFetchRecord } from './firmware-fetch/record.js';
import { firmwareUpdate } from './firmware-update/definition.js';
import type { FirmwareUpdateRecord } from './firmware-update/record.js';
import type { KindDefinition } from './kind-definition.js';
import { logUpload } from './log-upload/definition.js';
import type { LogUploadRecord } from './log-upload/record.js';
import { reset } from './reset/definition.js';
import type { ResetRecord } from './reset/record.js';
import { setSystemTime } from './set-system-time/definition.js';
import type { SystemTimeRecord } from './set-system-time/record.js';

export type OperationRecord =
  | FirmwareUpdateRecord
  | LogUploadRecord
  | ResetRecord
  | ConfigureNetworkRecord
  | SystemTimeRecord
  | FirmwareFetchRecord;
export type OperationKind = OperationRecord['kind'];
export type RecordOf<K extends OperationKind> = Extract<OperationRecord, { readonly kind: K }>;

/** The one table of kinds. REST shows the operations of a station in this order. */
export const KINDS = {
  firmware_update: firmwareUpdate,
  log_upload: logUpload,
  reset,
  configure_network: configureNetwork,
  set_system_time: setSystemTime,
  firmware_fetch: firmwareFetch,
} as const satisfies Readonly<Record<OperationKind, AnyKind>>;

const isKind = (text: string): text is OperationKind => Object.hasOwn(KINDS, text);
export const OPERATION_KINDS = Object.keys(KINDS).filter(isKind);

/** Of a kind that this version knows. */
export const isKnown = (record: AnyRecord): record is OperationRecord => isKind(record.kind);

export type AnyKind = KindDefinition<OperationRecord>;
export const definitionOf = (record: OperationRecord): AnyKind => KINDS[record.kind];

/** Those of which a station has a slot each. */
export type StationKind = {
  [K in OperationKind]: (typeof KINDS)[K]['scope'] extends 'station' ? K : never;
}[OperationKind];
export type StationRecord = RecordOf<StationKind>;
export const isOfStation = (record: OperationRecord): record is StationRecord =>
  definitionOf(record).scope === 'station';
const isStationKind = (kind: OperationKind): kind is StationKind => KINDS[kind].scope === 'station';
export const STATION_KINDS = OPERATION_KINDS.filter(isStationKind);

/** Something that subscribers and the audit want to know: not the work of the depot itself, nor what is too ordinary. */
export const isNews = (record: OperationRecord): boolean =>
  isOfStation(record) && !(definitionOf(record).isQuiet?.(record) ?? false);

/** Where it stands, as REST and events show it: its state, or what that has no word for. */
export const shownStatus = (record: OperationRecord): string =>
  definitionOf(record).shownStatus?.(record) ?? record.state;

/** `undefined`: it has ended, and nothing of it is left to be done. */
export const waitingOf = (record: OperationRecord, now: Moment): Waiting | undefined =>
  waitingBy(definitionOf(record).waits, record, now);

export const waitingMembers = (record: OperationRecord, now: Moment) =>
  waitingMembersBy(definitionOf(record).waits, record, now);

/** When the state it is in becomes a failure, as a date; not before a date that was asked for. */
export const deadlineDate = (record: OperationRecord, now: Moment): number | undefined =>
  deadlineBy(definitionOf(record).waits, record, now);

/** The state it is in has lasted too long. */
export const isOverdue = (record: OperationRecord, now: Moment): boolean =>
  isOverdueBy(definitionOf(record).waits, record, now);

/** The event of a record that is about to be stored as `version`. `undefined`: there is none. */
export const operationEvent = (record: OperationRecord, version: number, now: Moment): OperationEvent | undefined =>
  isNews(record)
    ? { ...operationEventBy(definitionOf(record).waits, record, version, now), status: shownStatus(record) }
    : undefined;

const DEFINITIONS: readonly AnyKind[] = Object.values(KINDS);

/** Whether a status ends what it speaks of, whatever dialect it was translated to. Pure. */
export function isFinalStatus({ channel, payload }: Pick<OutboxEntry, 'channel' | 'payload'>): boolean {
  const status = DEFINITIONS.find((one) => one.status?.channel === channel)?.status;
  return status?.isFinal(payload as Readonly<Record<string, unknown>>) ?? false;
}

/** The record as it is kept after its end. Until then secrets are needed, for every try. Pure; safe to repeat. */
export function withoutSecrets(record: OperationRecord): OperationRecord {
  const kept = withoutQuotedSecrets(record);
  return definitionOf(kept).withoutSecrets?.(kept) ?? kept;
}
