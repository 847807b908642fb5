/**
 * What stations are asked for, so that at the strike each is in a status of its own: how long before the strike it is
 * asked, what holds it there, and what it shall have received in the end. All times are milliseconds relative to the strike.
 */
import { PLAIN, SIGNED, UNSIGNED } from '@khumbu/test-support/statuses';
import type { StationSettings } from '../depot/depot.js';

interface ActBase {
  /** Also the name of its station. */
  readonly name: string;
  readonly settings: StationSettings;
  /** When it is asked; `strike`: the strike follows the answer. */
  readonly askAt: number | 'strike';
  /** The states its record may be in at the strike for the strike to have hit what the act is for. */
  readonly states: readonly string[];
}

export interface UpdateAct extends ActBase {
  readonly kind: 'update';
  readonly form: 'signed' | 'unsigned' | 'plain 1.6';
  /** A transaction keeps the station from giving permission until then. */
  readonly permitAt?: number;
  readonly retrieveAt?: number;
  readonly installAt?: number;
  /** Of the origin; as quick as it can without. */
  readonly bytesPerSecond?: number;
  readonly imageBytes: number;
  /** What the station receives, without repeats. */
  readonly statuses: readonly string[];
}

export interface UploadAct extends ActBase {
  readonly kind: 'upload';
  readonly to: 's3' | 'http';
  /** Of the line to the store, or of the server. */
  readonly bytesPerSecond: number;
  readonly statuses: readonly string[];
}

export interface ResetAct extends ActBase {
  readonly kind: 'reset';
  readonly type: 'Soft' | 'Hard';
  /** The strike waits until its EVerest is up again. */
  readonly strikeWhenBack?: true;
}

export type Act = UpdateAct | UploadAct | ResetAct;

const KB = 1000;
const BEFORE_ANSWER = ['Offered', 'Accepted'];

/** Longest time from the first request to the strike. */
export const LONGEST_LEAD_MS = 4000;
const BACK_REBOOT_MS = 1500;

const update = (
  name: string,
  settings: StationSettings['simulated'],
  act: Omit<UpdateAct, 'kind' | 'name' | 'settings' | 'form' | 'statuses' | 'imageBytes'> &
    Partial<Pick<UpdateAct, 'form' | 'statuses' | 'imageBytes'>>,
  more: StationSettings = {},
): UpdateAct => ({
  kind: 'update',
  name,
  form: 'signed',
  statuses: SIGNED,
  imageBytes: 200 * KB,
  settings: { dialect: 'ocpp2.x', simulated: settings ?? {}, ...more },
  ...act,
});

const LOGS = { statuses: ['Uploading', 'Uploaded'] } as const;
/** About 19 MB of archive: three parts. */
const MANY_LOGS = { dialect: 'ocpp2.x', simulated: { log_interval_ms: 100, log_history_s: 36_000 } } as const;
const SOME_LOGS = { dialect: 'ocpp2.x', simulated: { log_interval_ms: 1000, log_history_s: 60_000 } } as const;

export const ACTS: readonly Act[] = [
  update('update-accepted', {}, { askAt: 'strike', states: BEFORE_ANSWER }),
  update(
    'update-download-scheduled',
    {},
    { askAt: -1500, retrieveAt: 3000, states: ['DownloadScheduled'], statuses: ['DownloadScheduled', ...SIGNED] },
  ),
  update(
    'update-downloading',
    {},
    { askAt: -2500, bytesPerSecond: 120 * KB, imageBytes: 1200 * KB, states: ['Downloading'] },
  ),
  update(
    'update-downloaded',
    {},
    { askAt: -2500, form: 'unsigned', permitAt: 2500, statuses: UNSIGNED, states: ['Downloaded'] },
  ),
  update(
    'update-downloaded-plain',
    {},
    { askAt: -2500, form: 'plain 1.6', permitAt: 2500, statuses: PLAIN, states: ['Downloaded'] },
    { dialect: 'ocpp1.6' },
  ),
  update('update-signature-verified', {}, { askAt: -2500, permitAt: 1500, states: ['SignatureVerified'] }),
  update(
    'update-install-scheduled',
    {},
    {
      askAt: -2500,
      installAt: 3500,
      states: ['InstallScheduled'],
      statuses: [...SIGNED.slice(0, 3), 'InstallScheduled', ...SIGNED.slice(3)],
    },
  ),
  update('update-installing', { install_ms: 6000 }, { askAt: -3000, states: ['Installing'] }),
  update('update-install-rebooting', { reboot_ms: 6000 }, { askAt: -3500, states: ['InstallRebooting'] }),
  update('update-installed', {}, { askAt: -LONGEST_LEAD_MS, states: ['Installed'] }, { settle_ms: 5000 }),
  {
    kind: 'upload',
    name: 'upload-accepted',
    to: 's3',
    settings: MANY_LOGS,
    askAt: 'strike',
    bytesPerSecond: 5000 * KB,
    states: BEFORE_ANSWER,
    ...LOGS,
  },
  {
    kind: 'upload',
    name: 'upload-uploading-s3',
    to: 's3',
    settings: MANY_LOGS,
    askAt: -3500,
    bytesPerSecond: 3000 * KB,
    states: ['Uploading'],
    ...LOGS,
  },
  {
    kind: 'upload',
    name: 'upload-uploading-http',
    to: 'http',
    settings: SOME_LOGS,
    askAt: -2000,
    bytesPerSecond: 400 * KB,
    states: ['Uploading'],
    ...LOGS,
  },
  {
    kind: 'reset',
    name: 'reset-asked',
    type: 'Hard',
    settings: { dialect: 'ocpp2.x' },
    askAt: 'strike',
    states: ['Accepted', 'Resetting'],
  },
  {
    kind: 'reset',
    name: 'reset-rebooting',
    type: 'Hard',
    settings: { dialect: 'ocpp2.x', simulated: { reboot_ms: 6000 } },
    askAt: -1500,
    states: ['Resetting'],
  },
  {
    kind: 'reset',
    name: 'reset-restarting',
    type: 'Soft',
    settings: { dialect: 'ocpp2.x', simulated: { reboot_ms: 6000 } },
    askAt: -1500,
    states: ['Resetting'],
  },
  {
    kind: 'reset',
    name: 'reset-back',
    type: 'Hard',
    settings: { dialect: 'ocpp2.x', simulated: { reboot_ms: BACK_REBOOT_MS } },
    askAt: -BACK_REBOOT_MS,
    strikeWhenBack: true,
    states: ['Resetting', 'Restarting', 'Restarted'],
  },
];

export const actNamed = (name: string): Act => {
  const act = ACTS.find((one) => one.name === name);
  if (!act) throw new Error(`there is no act ${name}`);
  return act;
};
