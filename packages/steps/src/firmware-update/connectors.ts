import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';

/**
 * What it means that the image says (or does not say) whether connectors are disabled during the install: EVerest gives
 * no permission for one that keeps them in use, so none is waited for. Pure.
 */
export function connectorsDetail(
  record: FirmwareUpdateRecord,
  profile: StationProfile,
  disableConnectors: boolean | undefined,
): Partial<FirmwareUpdateRecord> {
  const asked = record.announced ? profile.ocpp && disableConnectors !== false : true;
  return {
    permissionNeeded: asked,
    ...(asked && record.permission === undefined ? { waitingFor: 'permission' } : {}),
    ...(disableConnectors === undefined ? {} : { disableConnectors }),
  };
}
