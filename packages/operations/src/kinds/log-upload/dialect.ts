/**
 * What a station's OCPP module can bear of a log upload: a status outside its enumeration makes the 1.6 module throw and
 * take EVerest down. Unknown stations are spoken to as if they might be 1.6.
 */
import type { LogStatusEnum } from '@khumbu/shared/contract/schemas';
import type { Dialect } from '@khumbu/shared/stations/stations-file';

/** GetDiagnostics of OCPP 1.6 (id -1). OCPP 1.6, 7.24. */
const PLAIN_LOG: Record<LogStatusEnum, LogStatusEnum> = {
  AcceptedCanceled: 'UploadFailure',
  BadMessage: 'UploadFailure',
  Idle: 'Idle',
  NotSupportedOperation: 'UploadFailure',
  PermissionDenied: 'UploadFailure',
  Uploaded: 'Uploaded',
  UploadFailure: 'UploadFailure',
  Uploading: 'Uploading',
};

/** The log status as the station is told it. */
export function speakLogStatus(status: LogStatusEnum, requestId: number, dialect: Dialect): LogStatusEnum {
  if (dialect === 'ocpp2.x' && requestId !== -1) return status;
  if (requestId === -1) return PLAIN_LOG[status];
  return status === 'AcceptedCanceled' ? 'UploadFailure' : status;
}
