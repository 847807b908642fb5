/** Stations, requests and records as the tests of the gateway need them. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { FirmwareUpdateState } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import type { ResetRecord, ResetState } from '@khumbu/operations/kinds/reset/record';
import { newRecordBase } from '@khumbu/operations/records/record';
import { readStationState, type StationState } from '@khumbu/operations/stations/station-state';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { parseStationsFile, profileFrom, type StationProfile } from '@khumbu/shared/stations/stations-file';

export const STATION = 'cs-1';

/** The profile of a simulated station with these lines in the stations file. */
export function profile(entry: Record<string, unknown> = {}): StationProfile {
  const file = parseStationsFile(JSON.stringify({ stations: { [STATION]: { driver: 'simulated', ...entry } } }));
  const found = profileFrom(file, STATION);
  if (!found) throw new Error('the station is configured');
  return found;
}

export const locations = createLocationPolicy({
  allowedSchemes: ['https', 'http', 's3'],
  allowedHosts: [],
  allowLoopback: false,
  store: { bucket: 'khumbu', logPrefixes: ['logs/{station}/'], firmwarePrefixes: ['images/'] },
});

export const UPDATE = { request_id: 7, location: 'https://files.example/image.bin' } as const;
export const LOGS = { request_id: 8, location: 'https://files.example/logs/' } as const;

const base = { station: STATION, origin: 'everest' as const, requestId: 7, now: momentOf(1000) };

export const update = (state: FirmwareUpdateState, more: Partial<FirmwareUpdateRecord> = {}): FirmwareUpdateRecord => ({
  ...newRecordBase<'firmware_update', FirmwareUpdateState>('firmware_update', state, base),
  request: UPDATE,
  signed: false,
  announced: true,
  permissionNeeded: true,
  tries: 0,
  ...more,
});

export const logUpload = (state: LogUploadRecord['state'], more: Partial<LogUploadRecord> = {}): LogUploadRecord => ({
  ...newRecordBase<'log_upload', LogUploadRecord['state']>('log_upload', state, base),
  request: LOGS,
  logType: 'DiagnosticsLog',
  fileName: 'logs.tar.gz',
  announced: true,
  tries: 0,
  ...more,
});

export const resetRecord = (state: ResetState, more: Partial<ResetRecord> = {}): ResetRecord => ({
  ...newRecordBase<'reset', ResetState>('reset', state, { ...base, requestId: -1 }),
  type: 'Soft',
  scheduled: false,
  bootEpochBefore: 0,
  ...more,
});

/** A station's state as it would be read from these fields; objects are stored as JSON. */
export function stationState(fields: Record<string, unknown> = {}): StationState {
  const stored = Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ]);
  return readStationState(Object.fromEntries(stored) as Record<string, string>);
}
