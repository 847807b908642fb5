/** All kinds of record. */

import type { ConfigureNetworkRecord } from './configure-network/record.js';
import type { FirmwareFetchRecord } from './firmware-fetch/record.js';
import type { FirmwareUpdateRecord } from './firmware-update/record.js';
import type { LogUploadRecord } from './log-upload/record.js';
import type { ResetRecord } from './reset/record.js';
import type { SystemTimeRecord } from './set-system-time/record.js';

export type OperationRecord =
  | FirmwareFetchRecord
  | FirmwareUpdateRecord
  | LogUploadRecord
  | ResetRecord
  | SystemTimeRecord
  | ConfigureNetworkRecord;

export const isEnded = (record: OperationRecord): boolean => record.endedAt !== undefined;
