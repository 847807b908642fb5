/**
 * Which job should exist for a record now. Pure: jobs are a consequence of records and never the other way round, so a
 * job that was lost can be made again and one too many does nothing.
 */
import type { Moment } from '../clock/depot-clock.js';
import { isBeforeInstall } from '../kinds/firmware-update/machine.js';
import { awaitsDelayedPermission } from '../kinds/firmware-update/permission-wait.js';
import { awaitedDate, type FirmwareUpdateRecord } from '../kinds/firmware-update/record.js';
import type { OperationRecord } from '../kinds/kinds.js';
import { isEnded } from '../kinds/kinds.js';

/** One queue for each kind of work. */
export const QUEUES = {
  'firmware-fetches': ['fetch'],
  'firmware-updates': ['download', 'announce', 'install', 'confirm'],
  'log-uploads': ['upload'],
  'system-control': ['reset', 'set-system-time', 'configure-network'],
} as const;
export type QueueName = keyof typeof QUEUES;
export const QUEUE_NAMES = Object.keys(QUEUES) as QueueName[];
export type JobName = (typeof QUEUES)[QueueName][number];

/** Job data is the record id and nothing else: everything else may change while the job waits. */
export interface JobData {
  readonly operationId: string;
}

export interface ExpectedJob {
  readonly queue: QueueName;
  readonly name: JobName;
  readonly jobId: string;
  /** A date that was asked for, milliseconds since 1970; passed or absent: at once. */
  readonly date?: number;
  /** The end of a pause, on the depot's monotonic clock; passed or absent: at once. */
  readonly notBefore?: number;
}

type Work = { readonly queue: QueueName; readonly name: JobName; readonly date?: number } | undefined;

/** Milliseconds until the job may begin; 0: now. Pure. */
export const waitOf = ({ date, notBefore }: Pick<ExpectedJob, 'date' | 'notBefore'>, now: Moment): number =>
  Math.max(0, (date ?? 0) - now.wall, (notBefore ?? 0) - now.monotonic);

/** Permission is there or not needed, and nothing else but time keeps the image from the station. */
export const mayInstall = (record: FirmwareUpdateRecord): boolean =>
  isBeforeInstall(record.state) &&
  record.triggerHeldUntil === undefined &&
  !(record.signed && record.state === 'Downloaded') &&
  (!record.permissionNeeded || record.permission !== undefined);

/** What an update wants whose image is here and verified. */
function readyWork(record: FirmwareUpdateRecord): Work {
  const queue = 'firmware-updates';
  const { triggerHeldUntil } = record;
  if (triggerHeldUntil !== undefined) return { queue, name: 'announce', date: triggerHeldUntil };
  if (awaitsDelayedPermission(record)) return { queue, name: 'announce' };
  const date = awaitedDate(record);
  return mayInstall(record) ? { queue, name: 'install', ...(date === undefined ? {} : { date }) } : undefined;
}

function updateWork(record: FirmwareUpdateRecord): Work {
  const date = awaitedDate(record);
  const job = (name: 'download' | 'install' | 'confirm', waits = false): Work => ({
    queue: 'firmware-updates',
    name,
    ...(waits && date !== undefined ? { date } : {}),
  });
  if (record.slotHeld && isEnded(record)) return job('confirm');
  switch (record.state) {
    case 'Accepted':
    case 'DownloadScheduled':
      return job('download', true);
    case 'Downloading':
      // While the depot fetches, the fetch has the job; between two tries this one waits for its time.
      return record.fetch ? undefined : job('download');
    case 'Downloaded':
      return record.signed ? job('download') : readyWork(record);
    case 'SignatureVerified':
    case 'InstallScheduled':
      return readyWork(record);
    case 'Installing':
      return job('install');
    case 'InstallRebooting':
      return job('confirm');
    default:
      return undefined;
  }
}

function workOf(record: OperationRecord): Work {
  switch (record.kind) {
    case 'firmware_update':
      return updateWork(record);
    case 'firmware_fetch':
      return record.state === 'Resting' ? undefined : { queue: 'firmware-fetches', name: 'fetch' };
    case 'log_upload':
      return record.state === 'Accepted' || record.state === 'Uploading'
        ? { queue: 'log-uploads', name: 'upload' }
        : undefined;
    case 'reset':
      return record.state === 'Accepted' || record.state === 'Resetting' || record.slotHeld
        ? { queue: 'system-control', name: 'reset' }
        : undefined;
    case 'set_system_time':
      return record.state === 'Pending' ? { queue: 'system-control', name: 'set-system-time' } : undefined;
    case 'configure_network':
      return record.state === 'Accepted' ? { queue: 'system-control', name: 'configure-network' } : undefined;
  }
}

/** The job this record wants, or `undefined` if it wants none: it waits for an event, is held, or has ended. */
export function expectedJob(record: OperationRecord): ExpectedJob | undefined {
  if (record.heldFor !== undefined) return undefined;
  const work = workOf(record);
  return (
    work && {
      ...work,
      jobId: `${record.id}.${work.name}.${record.run}`,
      ...(record.notBefore === undefined ? {} : { notBefore: record.notBefore }),
    }
  );
}
