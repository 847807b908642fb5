/** What to answer to `upload_logs`, from the state the intake has read. Pure. OCPP 2.0.1 N01. */
import type { LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { logWindow } from '@khumbu/operations/kinds/log-upload/window';
import type { UploadLogsRequest, UploadLogsStatus } from '@khumbu/shared/contract/schemas';
import type { LocationPolicy } from '@khumbu/shared/locations/policy';
import { type LocationUse, locationText } from '@khumbu/shared/locations/store-areas';
import { resolveUploadTarget } from '@khumbu/shared/locations/upload-location';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { type RefusalReason, refusalOf } from './refusal-reasons.js';

export interface LogUploadSituation {
  readonly profile: StationProfile | undefined;
  readonly current: LogUploadRecord | undefined;
  readonly locations: Pick<LocationPolicy, 'check'>;
  /** Where the location comes from; absent: EVerest. */
  readonly origin?: LocationUse['origin'];
  /** The name our archive gets where the location leaves it to us. */
  readonly fileName: string;
}

export type LogUploadDecision =
  | {
      readonly reply: Exclude<UploadLogsStatus, 'Rejected'>;
      readonly logType: LogUploadRecord['logType'];
      readonly fileName: string;
      /** Where the archive goes, if not where the request says: a station's `s3` location may mean its own folder. */
      readonly location?: string;
      readonly replaces?: LogUploadRecord;
    }
  | {
      readonly reply: 'Rejected';
      readonly reason: RefusalReason;
      readonly detail?: string;
      /** What the request might have had in its place. */
      readonly allowed?: readonly string[];
    };

const LOG_TYPES: readonly LogUploadRecord['logType'][] = ['DiagnosticsLog', 'SecurityLog'];

/** OCPP 1.6 GetDiagnostics names no type. */
function logTypeOf(type: string | undefined): LogUploadRecord['logType'] | undefined {
  if (type === undefined || type === '' || type === 'DiagnosticsLog') return 'DiagnosticsLog';
  return type === 'SecurityLog' ? 'SecurityLog' : undefined;
}

/** The stations file names the type, and no source for it. */
function hasNone({ driverEntry }: StationProfile, type: LogUploadRecord['logType']): boolean {
  return driverEntry !== undefined && !('package' in driverEntry) && driverEntry.logs?.[type]?.length === 0;
}

export function decideLogUpload(request: UploadLogsRequest, situation: LogUploadSituation): LogUploadDecision {
  const { profile, current, locations, origin = 'everest', fileName } = situation;
  if (!profile) return { reply: 'Rejected', reason: 'station_not_configured' };
  const logType = logTypeOf(request.type);
  if (!logType || hasNone(profile, logType))
    return {
      reply: 'Rejected',
      reason: 'log_type_unknown',
      allowed: LOG_TYPES.filter((type) => !hasNone(profile, type)),
    };
  if (!logWindow(request)) return { reply: 'Rejected', reason: 'window_empty' };
  const target = resolveUploadTarget(request.location, fileName);
  if (target.kind === 'refused') return { reply: 'Rejected', reason: 'location_not_usable', detail: target.reason };
  const checked = locations.check(request.location, { for: 'logs', station: profile.station, origin });
  if (!checked.ok) return { reply: 'Rejected', ...refusalOf(checked) };
  const meant = checked.location.scheme === 's3' ? locationText(checked.location) : request.location;
  const location = meant === request.location ? {} : { location: meant };
  const accepted = { logType, fileName: target.fileName, ...location };
  if (!current || current.endedAt !== undefined) return { reply: 'Accepted', ...accepted };
  return { reply: 'AcceptedCanceled', ...accepted, replaces: current };
}
