/**
 * What a station's OCPP module can bear of an update. A status outside its enumeration makes the 1.6 module throw and take
 * EVerest down, or leaves the update pending for ever. Unknown stations are spoken to as if they might be 1.6.
 */
import type { FirmwareUpdateStatusEnum } from '@khumbu/shared/contract/schemas';
import type { Dialect } from '@khumbu/shared/stations/stations-file';

/** The plain UpdateFirmware of OCPP 1.6 (id -1): `undefined` is not sent, it means nothing there. OCPP 1.6, 7.25. */
const PLAIN_FIRMWARE: Record<FirmwareUpdateStatusEnum, FirmwareUpdateStatusEnum | undefined> = {
  Downloaded: 'Downloaded',
  DownloadFailed: 'DownloadFailed',
  Downloading: 'Downloading',
  DownloadScheduled: undefined,
  DownloadPaused: undefined,
  Idle: 'Idle',
  InstallationFailed: 'InstallationFailed',
  Installing: 'Installing',
  Installed: 'Installed',
  InstallRebooting: undefined,
  InstallScheduled: undefined,
  InstallVerificationFailed: 'InstallationFailed',
  InvalidSignature: 'InstallationFailed',
  SignatureVerified: undefined,
};

/** The firmware status as the station is told it; `undefined`: not at all. */
export function speakFirmwareStatus(
  status: FirmwareUpdateStatusEnum,
  requestId: number,
  dialect: Dialect,
): FirmwareUpdateStatusEnum | undefined {
  return requestId === -1 && dialect !== 'ocpp2.x' ? PLAIN_FIRMWARE[status] : status;
}
