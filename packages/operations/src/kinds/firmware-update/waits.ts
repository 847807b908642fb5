/** What an update waits for. Pure. */
import type { WaitWord } from '../../records/wait-words.js';
import { stateSince, type WaitRules } from '../../records/waiting.js';
import type { OpenState } from '../kind-definition.js';
import { FIRMWARE_UPDATE_STATES, type FIRMWARE_UPDATE_TRANSITIONS, isBeforeInstall } from './machine.js';
import { awaitedDate, type FirmwareUpdateRecord, installAt, retrieveAt } from './record.js';

const READY = new Set<string>(FIRMWARE_UPDATE_STATES.filter(isBeforeInstall));

/** When the image was ready to be installed. */
const readySince = (record: FirmwareUpdateRecord): number =>
  stateSince(record, (entered) => READY.has(entered) && !(record.signed && entered === 'Downloaded'));

export const UPDATE_WAITS: WaitRules<FirmwareUpdateRecord> = {
  words: {
    Offered: 'answer',
    Accepted: 'worker',
    DownloadScheduled: 'worker',
    Downloading: 'download',
    Downloaded: 'worker',
    SignatureVerified: 'worker',
    InstallScheduled: 'worker',
    Installing: 'installation',
    InstallRebooting: 'reboot',
  } satisfies Record<OpenState<typeof FIRMWARE_UPDATE_TRANSITIONS>, WaitWord>,
  /** By its dates, its fetch and its permission, whatever was stored. */
  word(record, now) {
    const { state } = record;
    if ((state === 'Accepted' || state === 'DownloadScheduled') && (retrieveAt(record) ?? 0) > now.wall)
      return 'retrieve_timestamp';
    if (state === 'Downloading' && !record.fetch) return 'worker';
    if (state === 'Downloaded' && record.signed) return 'verification';
    if (!isBeforeInstall(state)) return undefined;
    if (record.triggerHeldUntil !== undefined) return 'announcement';
    if (record.permissionNeeded && record.permission === undefined) return 'permission';
    return (installAt(record) ?? 0) > now.wall ? 'install_timestamp' : undefined;
  },
  since: (record, word) => (word === 'permission' ? (record.waitingSince ?? readySince(record)) : undefined),
  until(record, word) {
    if (word === 'retrieve_timestamp') return retrieveAt(record);
    if (word === 'install_timestamp') return installAt(record);
    return word === 'announcement' ? record.triggerHeldUntil : undefined;
  },
  asked: awaitedDate,
  liftedBy: (record, word) => (word === 'permission' && !record.announced ? ['operator'] : undefined),
};
