import { LogStatusEnum, type UploadLogsRequest } from '@khumbu/shared/contract/schemas';
import type { ArchiveFormat } from '@khumbu/shared/locations/upload-location';
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import type { Moment } from '../../clock/depot-clock.js';
import { type OutboxEntry, outboxEntry } from '../../outbox/entry.js';
import { type Reason, reasonOfEvent } from '../../records/reasons.js';
import { ended, inState, OFFER_MS, type RecordBase } from '../../records/record.js';
import type { KindContext } from '../kind-definition.js';
import type { StoredArchive } from './archive-object.js';
import { speakLogStatus } from './dialect.js';

export type LogUploadEvent =
  | 'confirmed'
  | 'withdrawn'
  | 'uploadBegun'
  | 'tryFailed'
  | 'uploaded'
  | 'failed'
  | 'badMessage'
  | 'denied'
  | 'notSupported'
  | 'superseded'
  | 'canceled'
  | 'outOfTime';

type Row = Partial<Record<LogUploadEvent, string>>;
const FAILURES = {
  failed: 'UploadFailure',
  badMessage: 'BadMessage',
  denied: 'PermissionDenied',
  notSupported: 'NotSupportedOperation',
  superseded: 'Superseded',
  canceled: 'Canceled',
  outOfTime: 'UploadFailure',
} as const satisfies Row;

export const LOG_UPLOAD_TRANSITIONS = {
  Offered: { confirmed: 'Accepted', withdrawn: 'Withdrawn', outOfTime: 'Withdrawn', superseded: 'Withdrawn' },
  Accepted: { uploadBegun: 'Uploading', ...FAILURES },
  Uploading: { tryFailed: 'Uploading', uploaded: 'Uploaded', ...FAILURES },
  Uploaded: {},
  UploadFailure: {},
  BadMessage: {},
  PermissionDenied: {},
  NotSupportedOperation: {},
  Superseded: {},
  Canceled: {},
  Withdrawn: {},
} as const satisfies Record<string, Row>;
/** Final ones are named after the status EVerest hears, as far as there is one. */
export type LogUploadState = keyof typeof LOG_UPLOAD_TRANSITIONS;

/** What an archive of the nightly collection has. */
export interface ArchiveContents {
  /** The station's clock before its logs were opened, milliseconds since 1970; absent: it could not be read. */
  readonly stationClock?: number;
  /** Sources that broke off, or could not be read, by name. */
  readonly failedSources: readonly string[];
}

export interface LogUploadRecord extends RecordBase<'log_upload', LogUploadState> {
  readonly request: UploadLogsRequest;
  readonly logType: 'DiagnosticsLog' | 'SecurityLog';
  readonly fileName: string;
  /** How the archive is compressed; absent: gzip. */
  readonly archiveFormat?: ArchiveFormat;
  /** EVerest asked for it and is told. Log uploads from REST are silent. */
  readonly announced: boolean;
  /** Tries that have failed. */
  readonly tries: number;
  /** Size of the archive when it arrived. */
  readonly sizeBytes?: number;
  /** Where it is, if in the object store. */
  readonly archive?: StoredArchive;
  /** Of the nightly collection alone; absent: an older version, or a try that was killed before it could say so, has brought it. */
  readonly contents?: ArchiveContents;
}

/** OCPP 2.x N01.FR.20: the superseded one ends with AcceptedCanceled; a dialect without it hears UploadFailure. */
const END_STATUSES: Partial<Record<LogUploadState, LogStatusEnum>> = {
  Superseded: 'AcceptedCanceled',
  Canceled: 'UploadFailure',
};
/** What EVerest hears on entering a state: mostly the status of the same name; `undefined`: nothing. */
const statusOfState = (state: LogUploadState): LogStatusEnum | undefined =>
  END_STATUSES[state] ?? LogStatusEnum.enum.find((status) => status === state);

/** Which event a failure that EVerest shall hear of stands for. */
export const EVENT_OF_FAILURE = {
  UploadFailure: 'failed',
  BadMessage: 'badMessage',
  PermissionDenied: 'denied',
  NotSupportedOperation: 'notSupported',
} as const satisfies Partial<Record<LogUploadState, LogUploadEvent>>;

export const isFinalLogState = (state: LogUploadState): boolean =>
  Object.keys(LOG_UPLOAD_TRANSITIONS[state]).length === 0;

/** How long each state may last, in milliseconds. */
const LOG_DEADLINES = { offerMs: OFFER_MS, uploadMs: 24 * 3600_000 } as const;

/** The status an upload is announced with, in the station's dialect. */
export const logStatusEntry = (
  record: LogUploadRecord,
  status: LogStatusEnum,
  dialect: Dialect,
  now: Moment,
): OutboxEntry =>
  outboxEntry(
    'log_status',
    record.id,
    { log_status: speakLogStatus(status, record.requestId, dialect), request_id: record.requestId },
    now,
  );

/** One event on one upload: the record after it and what EVerest hears. Pure. Throws for an event out of place. */
export function applyLogEvent(
  before: LogUploadRecord,
  event: LogUploadEvent,
  context: Pick<KindContext, 'now' | 'dialect'>,
  detail: { set?: Partial<LogUploadRecord>; reason?: Reason; message?: string } = {},
): { record: LogUploadRecord; statuses: OutboxEntry[] } {
  const row: Partial<Record<LogUploadEvent, LogUploadState>> = LOG_UPLOAD_TRANSITIONS[before.state];
  const state = row[event];
  if (!state) throw new TypeError(`a log upload in ${before.state} knows no ${event}`);
  const { now, dialect } = context;
  let record: LogUploadRecord = { ...inState(before, state, now, detail.reason), ...detail.set };
  if (isFinalLogState(state)) {
    const ok = state === 'Uploaded';
    const reason = detail.reason ?? reasonOfEvent(event);
    const message = detail.message === undefined ? {} : { message: detail.message };
    record = ended(record, now, ok ? { ok } : { ok, reason, ...message });
  } else if (state !== before.state) {
    record = {
      ...record,
      deadlineAt: now.monotonic + (state === 'Offered' ? LOG_DEADLINES.offerMs : LOG_DEADLINES.uploadMs),
    };
  }
  const status = state === before.state ? undefined : statusOfState(state);
  const heard = status !== undefined && record.announced;
  return { record, statuses: heard ? [logStatusEntry(record, status, dialect, now)] : [] };
}
