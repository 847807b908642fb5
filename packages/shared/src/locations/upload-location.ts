/** Where a log archive goes: the location of an `upload_logs` request, read as a target. Pure. */
import type { LogStatusEnum } from '../contract/schemas.js';
import { type Credentials, type HostLocation, type Location, MAX_KEY_BYTES, parseLocation } from './location.js';

export type UploadTarget =
  | { readonly kind: 's3'; readonly bucket: string; readonly key: string; readonly fileName: string }
  /** `url` holds no credentials. */
  | { readonly kind: 'http'; readonly url: string; readonly fileName: string; readonly credentials?: Credentials }
  /** As `http`, at a server of `ftp`, `ftps` or `sftp`. */
  | { readonly kind: 'files'; readonly url: string; readonly fileName: string; readonly credentials?: Credentials };

export type RefusedUpload = {
  readonly kind: 'refused';
  readonly status: Extract<LogStatusEnum, 'BadMessage' | 'NotSupportedOperation'>;
  /** For people; never repeats the location. */
  readonly reason: string;
};

/** OCPP cuts a longer file name in the answer (OCPP 2.x, GetLogResponse: string[0..255]). */
const MAX_NAME = 255;

const refused = (status: RefusedUpload['status'], reason: string): RefusedUpload => ({
  kind: 'refused',
  status,
  reason,
});

const lastSegment = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** A name as OCPP may show it. */
function shownName(encoded: string): string {
  let name = encoded;
  try {
    name = decodeURIComponent(encoded);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
  }
  return name.replace(/[\p{Cc}/\\]/gu, '_').slice(0, MAX_NAME);
}

function toBucket(bucket: string, path: string, fileName: string): UploadTarget | RefusedUpload {
  const key = path === '' || path.endsWith('/') ? `${path}${fileName}` : path;
  if (Buffer.byteLength(key) > MAX_KEY_BYTES)
    return refused('BadMessage', `the key is longer than ${MAX_KEY_BYTES} bytes`);
  return { kind: 's3', bucket, key, fileName: shownName(encodeURIComponent(lastSegment(key))) };
}

function toServer({ url, credentials }: HostLocation, fileName: string): UploadTarget {
  const target = new URL(url);
  if (target.pathname.endsWith('/')) target.pathname += encodeURIComponent(fileName);
  return {
    kind: 'http',
    url: target.href,
    fileName: shownName(lastSegment(target.pathname)),
    ...(credentials === undefined ? {} : { credentials }),
  };
}

function toFileServer({ url, path, credentials }: HostLocation, fileName: string): UploadTarget {
  const target = new URL(url);
  const isFolder = !path || path.name === '';
  if (isFolder) target.pathname = `${target.pathname.replace(/\/$/, '')}/${encodeURIComponent(fileName)}`;
  return {
    kind: 'files',
    url: target.href,
    fileName: shownName(encodeURIComponent(isFolder ? fileName : path.name)),
    ...(credentials === undefined ? {} : { credentials }),
  };
}

/**
 * OCPP 2.1 N01.FR.21-30: a path that ends with a slash gets our file name, any other URL is used unchanged; userinfo
 * is what to log in with. `s3://bucket/prefix/` means the depot's own object store. Says nothing about whether
 * the location may be connected to: that is the location policy's.
 */
export function resolveUploadTarget(location: string, fileName: string): UploadTarget | RefusedUpload {
  const parsed = parseLocation(location);
  if (!parsed.ok) {
    return refused(parsed.code === 'LOCATION_SCHEME_UNKNOWN' ? 'NotSupportedOperation' : 'BadMessage', parsed.reason);
  }
  return uploadTarget(parsed.location, fileName);
}

/** As `resolveUploadTarget`, of a location that was read. */
export function uploadTarget(found: Location, fileName: string): UploadTarget | RefusedUpload {
  switch (found.scheme) {
    case 's3':
      return toBucket(found.bucket, found.key, fileName);
    case 'http':
    case 'https':
      return toServer(found, fileName);
    case 'ftp':
    case 'ftps':
    case 'sftp':
      return toFileServer(found, fileName);
  }
}

const safe = (text: string): string => text.replace(/[^A-Za-z0-9._-]+/g, '_').replace(/^[._-]+/, '');

/** How an archive is compressed. */
export const ARCHIVE_FORMATS = ['gzip', 'zstd'] as const;
export type ArchiveFormat = (typeof ARCHIVE_FORMATS)[number];

const SUFFIXES: Readonly<Record<ArchiveFormat, string>> = { gzip: '.tar.gz', zstd: '.tar.zst' };

/** `<station>-<type>-<UTC time>-<short id>.tar.gz`, or `.tar.zst`: safe in any file system, URL and key, at most 255 characters. */
export function uploadFileName(
  station: string,
  type: string,
  at: Date,
  operationId: string,
  format: ArchiveFormat = 'gzip',
): string {
  const time = at.toISOString().replace(/\.\d+/, '').replace(/[-:]/g, '');
  const shortId = operationId.replace(/[^A-Za-z0-9]/g, '').slice(-8);
  const rest = `-${safe(type)}-${time}-${shortId}${SUFFIXES[format]}`;
  return `${(safe(station) || 'station').slice(0, MAX_NAME - rest.length)}${rest}`;
}
