/** What a failed upload means to EVerest, as tables. OCPP 2.x N01.FR.10: the specific failure, not just "failed". */
import { StoreError, type StoreErrorCode } from '@khumbu/object-store/store-error';
import type { EVENT_OF_FAILURE } from '@khumbu/operations/kinds/log-upload/record';
import { type Reason, reasonOfCode } from '@khumbu/operations/records/reasons';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';

export type UploadFailureStatus = keyof typeof EVENT_OF_FAILURE;

/** Why an upload failed. Code `UPLOAD_FAILED`; nothing in it repeats credentials. */
export class UploadError extends CodedError {
  readonly status: UploadFailureStatus;
  /** A stable word, as `http_503`, `s3_denied` or `spool_full`; by default the one of the status. */
  readonly reason: Reason;
  /** For people. */
  readonly text: string;
  /** Whether another try can end better. */
  readonly retryable: boolean;
  /** Seconds to wait, from `Retry-After`. */
  readonly retryAfterS?: number;
  constructor(
    status: UploadFailureStatus,
    text: string,
    options: { cause?: unknown; reason?: Reason; retryAfterS?: number | undefined; isFinal?: boolean } = {},
  ) {
    super('UPLOAD_FAILED', `the upload failed: ${text}`, { cause: options.cause });
    this.name = 'UploadError';
    this.status = status;
    this.reason = options.reason ?? REASON_OF_STATUS[status];
    this.text = text;
    // A refusal is final; any other failure may be temporary.
    this.retryable = status === 'UploadFailure' && options.isFinal !== true;
    if (options.retryAfterS !== undefined) this.retryAfterS = options.retryAfterS;
  }
}

const REASON_OF_STATUS: Readonly<Record<UploadFailureStatus, Reason>> = {
  BadMessage: 'bad_message',
  NotSupportedOperation: 'not_supported',
  PermissionDenied: 'denied',
  UploadFailure: 'failed',
};

/** RFC 9110, 15. Not here: 2xx is success, other 4xx `BadMessage`, everything else `UploadFailure`. */
const STATUS_BY_HTTP: Readonly<Record<number, UploadFailureStatus>> = {
  401: 'PermissionDenied',
  403: 'PermissionDenied',
  404: 'UploadFailure',
  405: 'NotSupportedOperation',
  407: 'PermissionDenied',
  408: 'UploadFailure',
  425: 'UploadFailure',
  429: 'UploadFailure',
  501: 'NotSupportedOperation',
  505: 'NotSupportedOperation',
};

/** Undefined for 2xx. Redirects are not followed: N01.FR.27 (OCPP 2.1) wants `UploadFailure`. */
export function statusOfHttp(code: number): UploadFailureStatus | undefined {
  if (code >= 200 && code < 300) return undefined;
  return STATUS_BY_HTTP[code] ?? (code >= 400 && code < 500 ? 'BadMessage' : 'UploadFailure');
}

/** What is wrong with the depot's own store or with its settings is not the message's fault. */
export const STATUS_OF_STORE_ERROR: Readonly<Record<StoreErrorCode, UploadFailureStatus>> = {
  S3_BAD_REQUEST: 'UploadFailure',
  S3_CORRUPT: 'UploadFailure',
  S3_DENIED: 'PermissionDenied',
  // As a 404: the bucket may yet be made.
  S3_NO_SUCH_BUCKET: 'UploadFailure',
  S3_NO_SUCH_KEY: 'UploadFailure',
  S3_NO_SUCH_UPLOAD: 'UploadFailure',
  S3_NOT_SUPPORTED: 'NotSupportedOperation',
  S3_QUOTA: 'UploadFailure',
  S3_UNAVAILABLE: 'UploadFailure',
  S3_WRONG_ENDPOINT: 'UploadFailure',
  S3_WRONG_REGION: 'UploadFailure',
};

/** Another try gets the same answer until a setting is changed, which needs a restart. */
const FINAL_AT_THE_STORE: readonly StoreErrorCode[] = ['S3_BAD_REQUEST', 'S3_WRONG_ENDPOINT', 'S3_WRONG_REGION'];

/** Any error of an upload as `UploadError`; whatever is not known may pass. */
export function toUploadError(error: unknown): UploadError {
  if (error instanceof UploadError) return error;
  const status = error instanceof StoreError ? STATUS_OF_STORE_ERROR[error.code] : 'UploadFailure';
  // Codes of the store, the spool and the station are stable words; those of the system are of no help there.
  const reason = error instanceof CodedError ? { reason: reasonOfCode(error) } : {};
  const isFinal = error instanceof StoreError && FINAL_AT_THE_STORE.includes(error.code);
  return new UploadError(status, describeError(error), { cause: error, ...reason, isFinal });
}
