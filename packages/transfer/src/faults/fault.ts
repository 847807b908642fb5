/** What a row of the fault table is. */

import type { StoreErrorCode } from '@khumbu/object-store/store-error';
import type { LogStatusEnum } from '@khumbu/shared/contract/schemas';
import type { LocationScheme } from '@khumbu/shared/locations/location';

/** Words that stand for themselves. `packages/operations/src/records/reasons.ts` has each of them, too. */
export type TransferWord =
  | 'location_refused'
  | 'location_unusable'
  | 'scheme_unsupported'
  | 'not_supported'
  | 'dns'
  | 'connect'
  | 'tls'
  | 'stalled'
  | 'cut'
  | 'bad_response'
  /** Compressed on the way, and not to be decoded. */
  | 'content_encoding'
  /** As `content_encoding`, by a coding of the transfer. */
  | 'transfer_encoding'
  | 'too_many_redirects'
  | 'proxy_unreachable'
  /** Of an upload: what is `dns`, `connect`, `tls`, `stalled`, `cut`, `bad_response` of a download. */
  | 'connection'
  | FileReason
  | StoreReason;

/** Of file servers: `ftp`, `ftps`, `sftp`. */
export type FileReason =
  | 'login_refused'
  | 'no_such_file'
  | 'no_such_folder'
  | 'denied'
  | 'remote_full'
  | 'remote_busy'
  | 'data_connection'
  | 'tls_required'
  | 'host_key_unknown'
  | 'host_key_changed'
  | 'algorithms'
  | 'no_sftp'
  | 'sftp_failure'
  | 'content_changed'
  | 'not_whole'
  | 'size_unknown';

/** Codes of the object store, in lower case, but for the one of what it brings to a file. */
export type StoreReason = Lowercase<Exclude<StoreErrorCode, 'S3_CORRUPT'>>;

/** Words, and the families of statuses: of HTTP, of a forward proxy. */
export type TransferReason = TransferWord | `http_${number}` | `proxy_${number}` | `ftp_${number}`;

/** Of a row that stands for the rest of a family. */
export type RestOfFamily =
  | 'http_2xx'
  | 'http_3xx'
  | 'http_4xx'
  | 'http_5xx'
  | 'proxy_4xx'
  | 'proxy_5xx'
  | 'ftp_4xx'
  | 'ftp_5xx';

/** What EVerest is told of an upload that failed. OCPP 2.x N01.FR.10: the specific failure, not just "failed". */
export type UploadStatus = Extract<
  LogStatusEnum,
  'BadMessage' | 'NotSupportedOperation' | 'PermissionDenied' | 'UploadFailure'
>;

/** What comes of a fault in one direction. */
export interface Outcome<Status extends string = string> {
  readonly status: Status;
  readonly reason: TransferReason | RestOfFamily;
  /** false: final, also where tries are left. */
  readonly retried: boolean;
}

export interface Fault {
  readonly schemes: readonly LocationScheme[];
  /** What went wrong, as one sees it at the server or on the wire. Unique for a scheme. */
  readonly fault: string;
  /** Of an image that is fetched; absent: cannot happen there. */
  readonly get?: Outcome<'DownloadFailed'>;
  /** Of an archive that is brought; absent: cannot happen there. */
  readonly put?: Outcome<UploadStatus>;
  /** What a person can do: a sentence. */
  readonly advice: string;
}

/** A row of a download that may end better at another try. */
export const again = (reason: Outcome['reason']): { readonly get: Outcome<'DownloadFailed'> } => ({
  get: { status: 'DownloadFailed', reason, retried: true },
});
/** A row of a download that will end no better. */
export const final = (reason: Outcome['reason']): { readonly get: Outcome<'DownloadFailed'> } => ({
  get: { status: 'DownloadFailed', reason, retried: false },
});
/** An upload: `UploadFailure` is tried again, a refusal is final. */
export const upload = (
  status: UploadStatus,
  reason: Outcome['reason'],
  retried = status === 'UploadFailure',
): { readonly put: Outcome<UploadStatus> } => ({ put: { status, reason, retried } });
