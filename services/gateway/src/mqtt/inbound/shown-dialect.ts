import type { RequestChannelName } from '@khumbu/shared/contract/channels';
import type { FirmwareUpdateRequest, ResetType, UploadLogsRequest } from '@khumbu/shared/contract/schemas';
import type { Dialect } from '@khumbu/shared/stations/stations-file';

/** What a request betrays about the station's OCPP version; `undefined`: nothing. Pure. */
export function dialectShownBy(name: RequestChannelName, payload: unknown): Exclude<Dialect, 'unknown'> | undefined {
  switch (name) {
    case 'update_firmware':
      return (payload as FirmwareUpdateRequest).request_id === -1 ? 'ocpp1.6' : undefined;
    case 'upload_logs':
      return (payload as UploadLogsRequest).request_id === undefined ? 'ocpp1.6' : undefined;
    case 'is_reset_allowed':
      // OCPP 2.x resets come without a type, 1.6 resets with one.
      return (payload as ResetType) === 'NotSpecified' ? 'ocpp2.x' : 'ocpp1.6';
    default:
      return undefined;
  }
}
