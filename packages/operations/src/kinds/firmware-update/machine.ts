/**
 * The firmware update as data: its states, what may happen in each, and what EVerest hears on entering one. Pure
 * tables; a pair that is not here is a bug and says so. Order of statuses: OCPP 2.0.1 L01/L02, OCPP 1.6 5.19.
 */
import { FirmwareUpdateStatusEnum } from '@khumbu/shared/contract/schemas';

export const FIRMWARE_UPDATE_EVENTS = [
  /** The answer has been sent. */
  'confirmed',
  /** The answer was the default, so nothing may follow from the request. */
  'withdrawn',
  /** It is to be fetched later. */
  'retrieveLater',
  /** It waits for the depot's fetch of its location. */
  'fetchJoined',
  /** A try failed and another one is left: silent. */
  'tryFailed',
  /** Its download stops, and goes on later. */
  'downloadPaused',
  /** The image is in the depot, readable by every ota-worker. */
  'fetched',
  /** No try is left, or none can help. */
  'gaveUp',
  'signatureGood',
  'signatureBad',
  /** It is to be installed later. */
  'installLater',
  /** The date has come at which EVerest is told what was held back for it. */
  'triggerDue',
  /** The permission is a while in coming: a transaction delays it. */
  'permissionDelayed',
  /** EVerest restarted while permission was awaited or given: connectors are operative again. */
  'stationRestarted',
  /** The station is about to be touched. */
  'installBegun',
  'imageUnfit',
  /** The image is in no store any more, and the station was not asked to install it. */
  'imageLost',
  'installFailed',
  /** The image is in place and takes effect only after a reboot. */
  'rebootNeeded',
  /** The station runs the new image. */
  'proved',
  /** The station runs the old image, or says that it is not well. */
  'fellBack',
  /** Another update takes its place. */
  'superseded',
  /** It was canceled over REST. */
  'canceled',
  /** The state it was in lasted too long. */
  'outOfTime',
] as const;
export type FirmwareUpdateEvent = (typeof FIRMWARE_UPDATE_EVENTS)[number];

type Row = Partial<Record<FirmwareUpdateEvent, string>>;

/** What ends an update that the station has not been touched by yet. */
const STOPPABLE = { superseded: 'Superseded', canceled: 'Canceled' } as const satisfies Row;

export const FIRMWARE_UPDATE_TRANSITIONS = {
  Offered: { confirmed: 'Accepted', withdrawn: 'Withdrawn', outOfTime: 'Withdrawn', superseded: 'Withdrawn' },
  Accepted: {
    retrieveLater: 'DownloadScheduled',
    fetchJoined: 'Downloading',
    gaveUp: 'DownloadFailed',
    outOfTime: 'DownloadFailed',
    ...STOPPABLE,
  },
  DownloadScheduled: {
    fetchJoined: 'Downloading',
    gaveUp: 'DownloadFailed',
    outOfTime: 'DownloadFailed',
    ...STOPPABLE,
  },
  Downloading: {
    fetchJoined: 'Downloading',
    tryFailed: 'Downloading',
    downloadPaused: 'Downloading',
    fetched: 'Downloaded',
    gaveUp: 'DownloadFailed',
    outOfTime: 'DownloadFailed',
    ...STOPPABLE,
  },
  Downloaded: {
    signatureGood: 'SignatureVerified',
    signatureBad: 'InvalidSignature',
    installLater: 'InstallScheduled',
    triggerDue: 'Downloaded',
    stationRestarted: 'Downloaded',
    installBegun: 'Installing',
    imageLost: 'InstallationFailed',
    installFailed: 'InstallationFailed',
    outOfTime: 'InstallationFailed',
    ...STOPPABLE,
  },
  SignatureVerified: {
    installLater: 'InstallScheduled',
    triggerDue: 'SignatureVerified',
    permissionDelayed: 'InstallScheduled',
    stationRestarted: 'SignatureVerified',
    installBegun: 'Installing',
    imageLost: 'InstallationFailed',
    installFailed: 'InstallationFailed',
    outOfTime: 'InstallationFailed',
    ...STOPPABLE,
  },
  InstallScheduled: {
    triggerDue: 'InstallScheduled',
    stationRestarted: 'InstallScheduled',
    installBegun: 'Installing',
    imageLost: 'InstallationFailed',
    installFailed: 'InstallationFailed',
    outOfTime: 'InstallationFailed',
    ...STOPPABLE,
  },
  Installing: {
    rebootNeeded: 'InstallRebooting',
    proved: 'Installed',
    imageUnfit: 'InstallVerificationFailed',
    imageLost: 'InstallationFailed',
    installFailed: 'InstallationFailed',
    outOfTime: 'InstallationFailed',
  },
  InstallRebooting: {
    proved: 'Installed',
    fellBack: 'InstallationFailed',
    installFailed: 'InstallationFailed',
    outOfTime: 'InstallationFailed',
  },
  Installed: {},
  DownloadFailed: {},
  InvalidSignature: {},
  InstallVerificationFailed: {},
  InstallationFailed: {},
  Superseded: {},
  Canceled: {},
  Withdrawn: {},
} as const satisfies Record<string, Row>;
export type FirmwareUpdateState = keyof typeof FIRMWARE_UPDATE_TRANSITIONS;
export const FIRMWARE_UPDATE_STATES = Object.keys(FIRMWARE_UPDATE_TRANSITIONS) as FirmwareUpdateState[];

/** The state after an event. Throws for a pair the table does not have. */
export function nextFirmwareUpdateState(state: FirmwareUpdateState, event: FirmwareUpdateEvent): FirmwareUpdateState {
  const row: Partial<Record<FirmwareUpdateEvent, FirmwareUpdateState>> = FIRMWARE_UPDATE_TRANSITIONS[state];
  const next = row[event];
  if (!next) throw new TypeError(`a firmware update in ${state} knows no ${event}`);
  return next;
}

export const isFinalUpdateState = (state: FirmwareUpdateState): boolean =>
  Object.keys(FIRMWARE_UPDATE_TRANSITIONS[state]).length === 0;

/** Until here the update can be given up without having touched the station. */
export const isStoppable = (state: FirmwareUpdateState): boolean => 'canceled' in FIRMWARE_UPDATE_TRANSITIONS[state];

/** The station is being changed: no other update, no reset. */
export const isInstalling = (state: FirmwareUpdateState): boolean =>
  state === 'Installing' || state === 'InstallRebooting';

/** The image is here and nothing but permission and time keep it from the station. */
export const isBeforeInstall = (state: FirmwareUpdateState): boolean =>
  'installBegun' in FIRMWARE_UPDATE_TRANSITIONS[state];

/**
 * What EVerest hears on entering a state: the status of the same name. States without one are silent here; how Superseded
 * and Canceled are closed depends on what was announced before (`transition.ts`).
 */
export const statusOfState = (state: string): FirmwareUpdateStatusEnum | undefined =>
  FirmwareUpdateStatusEnum.enum.find((status) => status === state);

const FINAL_STATUSES: ReadonlySet<unknown> = new Set(FIRMWARE_UPDATE_STATES.filter(isFinalUpdateState));

/** Whether a status ends the update for EVerest, whatever dialect it was translated to. */
export const isFinalUpdateStatus = (status: unknown): boolean => FINAL_STATUSES.has(status);
