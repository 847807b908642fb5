/** Records for tests: offered by default, changed as told. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { ConfigureNetworkRecord } from '@khumbu/operations/kinds/configure-network/record';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import type { ResetRecord } from '@khumbu/operations/kinds/reset/record';
import { newRecordBase } from '@khumbu/operations/records/record';

const base = { station: 'cp1', origin: 'everest', requestId: 7, now: momentOf(1_700_000_000_000) } as const;

export const updateRecord = (changes: Partial<FirmwareUpdateRecord> = {}): FirmwareUpdateRecord => ({
  ...newRecordBase('firmware_update', 'Offered', base),
  request: { location: 'http://h/f', request_id: 7 },
  signed: false,
  announced: true,
  permissionNeeded: true,
  tries: 0,
  ...changes,
});

export const logRecord = (changes: Partial<LogUploadRecord> = {}): LogUploadRecord => ({
  ...newRecordBase('log_upload', 'Offered', base),
  request: { location: 'http://h/', request_id: 7 },
  logType: 'DiagnosticsLog',
  fileName: 'logs.tar.gz',
  announced: true,
  tries: 0,
  ...changes,
});

export const resetRecord = (changes: Partial<ResetRecord> = {}): ResetRecord => ({
  ...newRecordBase('reset', 'Accepted', base),
  type: 'Soft',
  scheduled: false,
  bootEpochBefore: 1,
  ...changes,
});

export const networkRecord = (changes: Partial<ConfigureNetworkRecord> = {}): ConfigureNetworkRecord => ({
  ...newRecordBase('configure_network', 'Offered', { ...base, requestId: 5 }),
  request: { request_id: 5, interface: 'Any' },
  interfaceName: 'eth0',
  ...changes,
});
