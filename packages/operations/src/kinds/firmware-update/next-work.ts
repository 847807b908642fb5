/** Which job an update wants. Pure. */
import { isEnded } from '../../records/record.js';
import type { Work } from '../kind-definition.js';
import { isBeforeInstall } from './machine.js';
import { awaitsDelayedPermission } from './permission-wait.js';
import { awaitedDate, type FirmwareUpdateRecord, isBeforeDownloaded } from './record.js';

export const UPDATE_JOBS = ['download', 'announce', 'install', 'confirm'] as const;
type UpdateWork = Work<(typeof UPDATE_JOBS)[number]> | undefined;

/** Permission is there or not needed, and nothing else but time keeps the image from the station. */
const mayInstall = (record: FirmwareUpdateRecord): boolean =>
  isBeforeInstall(record.state) &&
  record.triggerHeldUntil === undefined &&
  !(record.signed && record.state === 'Downloaded') &&
  (!record.permissionNeeded || record.permission !== undefined);

/** What an update wants whose image is here and verified. */
function readyWork(record: FirmwareUpdateRecord): UpdateWork {
  const { triggerHeldUntil } = record;
  if (triggerHeldUntil !== undefined) return { name: 'announce', date: triggerHeldUntil };
  if (awaitsDelayedPermission(record)) return { name: 'announce' };
  const date = awaitedDate(record);
  return mayInstall(record) ? { name: 'install', ...(date === undefined ? {} : { date }) } : undefined;
}

/** Pure. */
export function nextUpdateWork(record: FirmwareUpdateRecord): UpdateWork {
  if (record.slotHeld && isEnded(record)) return { name: 'confirm' };
  // Until an operator lets it go on.
  if (record.pausedByOperator && isBeforeDownloaded(record)) return undefined;
  switch (record.state) {
    case 'Accepted':
    case 'DownloadScheduled': {
      const date = awaitedDate(record);
      return { name: 'download', ...(date === undefined ? {} : { date }) };
    }
    case 'Downloading':
      // While the depot fetches, the fetch has the job; between two tries this one waits for its time.
      return record.fetch ? undefined : { name: 'download' };
    case 'Downloaded':
      return record.signed ? { name: 'download' } : readyWork(record);
    case 'SignatureVerified':
    case 'InstallScheduled':
      return readyWork(record);
    case 'Installing':
      return { name: 'install' };
    case 'InstallRebooting':
      return { name: 'confirm' };
    default:
      return undefined;
  }
}
