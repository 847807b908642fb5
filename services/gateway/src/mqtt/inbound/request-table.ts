/** Which function of the intake serves which channel. A channel without a row does not compile. */
import type { Answer } from '@khumbu/intake/decision';
import type { Liveness } from '@khumbu/intake/get-boot-reason';
import type { Intake } from '@khumbu/intake/intake';
import type { Requester } from '@khumbu/intake/requester';
import type { E2mChannelName, RequestChannelName } from '@khumbu/shared/contract/channels';
import type {
  ConfigureNetworkRequest,
  FirmwareUpdateRequest,
  ResetType,
  UploadLogsRequest,
} from '@khumbu/shared/contract/schemas';
import type { Dialect } from '@khumbu/shared/stations/stations-file';

/** What is known of a request beside its words. */
export interface Circumstances {
  /** Of the moment in which it came; with the sign that came since, once it has waited for one. */
  readonly liveness: Liveness;
  /** The broker has kept it, for an unknown time. */
  readonly isLate: boolean;
}
type Serve = (intake: Intake, payload: unknown, requester: Requester, circumstances: Circumstances) => Promise<Answer>;

// The codec has checked each payload against the channel's schema.
export const REQUESTS = {
  update_firmware: (intake, payload, requester) => intake.updateFirmware(payload as FirmwareUpdateRequest, requester),
  upload_logs: (intake, payload, requester) => intake.uploadLogs(payload as UploadLogsRequest, requester),
  is_reset_allowed: (intake, _payload, requester) => intake.isResetAllowed(requester, true),
  set_system_time: (intake, payload, requester, { isLate }) =>
    intake.setSystemTime(payload as string, requester, isLate),
  get_boot_reason: (intake, _payload, requester, { liveness }) => intake.getBootReason(requester, liveness),
  configure_network: (intake, payload, requester) =>
    intake.configureNetwork(payload as ConfigureNetworkRequest, requester),
} as const satisfies Record<RequestChannelName, Serve>;

export const isRequest = (name: E2mChannelName): name is RequestChannelName => Object.hasOwn(REQUESTS, name);

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
