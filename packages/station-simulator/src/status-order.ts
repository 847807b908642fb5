/**
 * The order in which OCPP expects statuses, as tables: after the status on the left, one on the right may follow.
 * Sources: OCPP 2.0.1 part 2, use cases L01, L02 and N01 with the orders the certification test cases TC_L_01..16
 * check; OCPP 1.6 edition 2, 5.19 and 5.9. A repeat of the last status is always possible (at least once).
 */
import type { FirmwareUpdateStatusEnum, LogStatusEnum } from '@khumbu/shared/contract/schemas';

export type StatusOrder<S extends string> = { readonly [From in S | 'start']?: readonly S[] };

const INSTALL = ['Installing', 'InstallRebooting', 'InstallVerificationFailed', 'InstallationFailed'] as const;

/** Certificate and signature were given: OCPP 1.6 with security extensions, OCPP 2.x secure update. */
export const SIGNED_FIRMWARE: StatusOrder<FirmwareUpdateStatusEnum> = {
  start: ['DownloadScheduled', 'Downloading', 'DownloadFailed'],
  DownloadScheduled: ['Downloading', 'DownloadFailed'],
  Downloading: ['DownloadPaused', 'Downloaded', 'DownloadFailed'],
  DownloadPaused: ['Downloading', 'DownloadFailed'],
  Downloaded: ['SignatureVerified', 'InvalidSignature', 'InstallationFailed'],
  SignatureVerified: ['InstallScheduled', ...INSTALL],
  // The trigger again: how permission is asked for anew after a restart of EVerest.
  InstallScheduled: ['SignatureVerified', ...INSTALL],
  Installing: ['InstallRebooting', 'Installed', 'InstallVerificationFailed', 'InstallationFailed'],
  InstallRebooting: ['Installing', 'Installed', 'InstallVerificationFailed', 'InstallationFailed'],
};

/** OCPP 2.x without certificate and signature. */
export const UNSIGNED_FIRMWARE: StatusOrder<FirmwareUpdateStatusEnum> = {
  ...SIGNED_FIRMWARE,
  Downloaded: ['InstallScheduled', ...INSTALL],
  SignatureVerified: [],
  InstallScheduled: ['Downloaded', ...INSTALL],
};

/** It was not asked for over OCPP, so OCPP 2.x cannot know which of the two it is. */
export const ANNOUNCED_FIRMWARE: StatusOrder<FirmwareUpdateStatusEnum> = {
  ...SIGNED_FIRMWARE,
  Downloaded: [...(SIGNED_FIRMWARE.Downloaded ?? []), ...(UNSIGNED_FIRMWARE.Downloaded ?? [])],
  InstallScheduled: ['Downloaded', ...(SIGNED_FIRMWARE.InstallScheduled ?? [])],
};

/** The plain UpdateFirmware of OCPP 1.6, id -1. */
export const PLAIN_FIRMWARE: StatusOrder<FirmwareUpdateStatusEnum> = {
  start: ['Downloading', 'DownloadFailed'],
  Downloading: ['Downloaded', 'DownloadFailed'],
  Downloaded: ['Installing', 'InstallationFailed'],
  Installing: ['Installed', 'InstallationFailed'],
};

const LOG_FAILURES = ['UploadFailure', 'BadMessage', 'PermissionDenied', 'NotSupportedOperation'] as const;

/** What a try may begin with. */
const TRY = ['Uploading', 'AcceptedCanceled', ...LOG_FAILURES] as const;

export const LOG_UPLOAD: StatusOrder<LogStatusEnum> = {
  start: TRY,
  Uploading: ['Uploaded', 'AcceptedCanceled', ...LOG_FAILURES],
};

/** A failure per try is reported, as test case TC_N_26 wants it. */
export const LOG_UPLOAD_PER_ATTEMPT: StatusOrder<LogStatusEnum> = {
  ...LOG_UPLOAD,
  UploadFailure: TRY,
  BadMessage: TRY,
  PermissionDenied: TRY,
  NotSupportedOperation: TRY,
};

export const FINAL_STATUSES: ReadonlySet<string> = new Set<FirmwareUpdateStatusEnum | LogStatusEnum>([
  'DownloadFailed',
  'InstallationFailed',
  'Installed',
  'InstallVerificationFailed',
  'InvalidSignature',
  'Uploaded',
  'AcceptedCanceled',
  ...LOG_FAILURES,
]);

/** What OCPP 1.6 can say without an id; anything else is dropped (firmware) or aborts its OCPP module (logs). */
export const PLAIN_FIRMWARE_STATUSES = new Set<FirmwareUpdateStatusEnum>([
  ...Object.values(PLAIN_FIRMWARE).flat(),
  'Idle',
]);
export const PLAIN_LOG_STATUSES = new Set<LogStatusEnum>(['Idle', 'Uploaded', 'UploadFailure', 'Uploading']);
