/** A log archive that the depot keeps for itself: where it lies, and what is known of it. */
import { stationFolder } from '@khumbu/shared/locations/store-areas';
import { uploadFileName } from '@khumbu/shared/locations/upload-location';
import type { LogUploadRecord } from '../kinds/log-upload/record.js';

/** Who asks for the archives of every night, in records and in the security log. */
export const COLLECTOR = 'log-collection';

export const COPIED_LOG_TYPES = [
  'DiagnosticsLog',
  'SecurityLog',
] as const satisfies readonly LogUploadRecord['logType'][];
export type CopiedLogType = (typeof COPIED_LOG_TYPES)[number];

/** An archive on its way into the store: what a killed worker leaves is found by it. */
export interface BegunCopy {
  readonly operationId: string;
  readonly station: string;
  readonly type: CopiedLogType;
  readonly bucket: string;
  readonly key: string;
  readonly fileName: string;
  readonly format: 'gzip' | 'zstd';
  /** When it was asked for; milliseconds since 1970. Its days count from here. */
  readonly createdAt: number;
  /** As it was asked for, RFC 3339. */
  readonly oldest?: string;
  readonly latest?: string;
}

export interface LogCopy extends BegunCopy {
  readonly bytes: number;
  readonly etag: string;
  /** Lower-case hex; absent when a worker found the archive of another one, sent in parts. */
  readonly sha256?: string;
}

/** Below it lie the archives of a station, with a slash at the end. */
export const copyFolder = (station: string): string => `logs/${stationFolder(station)}/`;

/**
 * What is to be kept of an upload. `place`: where it goes by itself, in the depot's own folder of the station; else the name that an
 * archive gets where nobody names one. Pure.
 */
export function copyOf(
  record: Pick<LogUploadRecord, 'id' | 'station' | 'logType' | 'archiveFormat' | 'createdAt' | 'request'>,
  bucket: string,
  place?: { readonly key: string; readonly fileName: string },
): BegunCopy {
  const { id: operationId, station, logType: type, archiveFormat: format = 'gzip', createdAt, request } = record;
  const fileName = place?.fileName ?? uploadFileName(station, type, new Date(createdAt), operationId, format);
  const { oldest_timestamp: oldest, latest_timestamp: latest } = request;
  return {
    operationId,
    station,
    type,
    bucket,
    key: place?.key ?? `${copyFolder(station)}${fileName}`,
    fileName,
    format,
    createdAt,
    ...(oldest === undefined ? {} : { oldest }),
    ...(latest === undefined ? {} : { latest }),
  };
}
