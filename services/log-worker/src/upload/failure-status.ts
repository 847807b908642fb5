/** What a failed upload means to EVerest: by the fault table of packages/transfer. OCPP 2.x N01.FR.10: the specific failure, not just "failed". */
import type { EVENT_OF_FAILURE } from '@khumbu/operations/kinds/log-upload/record';
import { type Reason, reasonOfCode } from '@khumbu/operations/records/reasons';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { uploadStatusOf } from '@khumbu/transfer/faults/fault-table';
import { TransferError } from '@khumbu/transfer/transfer-error';

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

/** Any error of an upload as `UploadError`; whatever is not known may pass. */
export function toUploadError(error: unknown): UploadError {
  if (error instanceof UploadError) return error;
  if (error instanceof TransferError) {
    const { reason, retryAfterS, retryable, leg, message, cause } = error;
    const status = uploadStatusOf(reason, leg.scheme);
    return new UploadError(status, message, { cause, reason, retryAfterS, isFinal: !retryable });
  }
  // Codes of the spool and the station are stable words; those of the system are of no help there.
  const reason = error instanceof CodedError ? { reason: reasonOfCode(error) } : {};
  return new UploadError('UploadFailure', describeError(error), { cause: error, ...reason });
}
