/** Why a fetch failed, in words that fit a record; whether trying again can help. */
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { TransferReason } from '@khumbu/transfer/faults/fault';
import { TransferError } from '@khumbu/transfer/transfer-error';

export type FetchReason =
  | TransferReason
  /** No bytes at all. */
  | 'empty'
  /** Fewer bytes than the least image. */
  | 'too_small'
  | 'too_large'
  | 'wrong_length'
  | 'no_space'
  | 'spool_unusable'
  | 'superseded';

/** `FETCH_RETRYABLE`: another try may succeed. `FETCH_PERMANENT`: it will not. Messages hold no location. */
export class FetchError extends CodedError {
  readonly reason: FetchReason;
  /** Seconds to wait, from `Retry-After`. */
  readonly retryAfterS?: number;
  constructor(
    retryable: boolean,
    reason: FetchReason,
    message: string,
    options: { cause?: unknown; retryAfterS?: number | undefined } = {},
  ) {
    super(retryable ? 'FETCH_RETRYABLE' : 'FETCH_PERMANENT', message, { cause: options.cause });
    this.name = 'FetchError';
    this.reason = reason;
    if (options.retryAfterS !== undefined) this.retryAfterS = options.retryAfterS;
  }
}

const codeOf = (error: unknown): string => (error as { code?: unknown } | undefined)?.code?.toString() ?? '';

/** A failed transfer as that of a fetch; anything else as it is. */
export const ofTransfer = (error: unknown): unknown =>
  error instanceof TransferError
    ? new FetchError(error.retryable, error.reason, error.message, {
        cause: error.cause,
        retryAfterS: error.retryAfterS,
      })
    : error;

/** Out of space: another try helps once space was freed. */
export const noSpace = (what: string, cause?: unknown): FetchError =>
  new FetchError(true, 'no_space', `${what}; free space in SPOOL_DIR`, { cause });

/** What the file system fails with. Errors that carry no code are bugs and pass unchanged. */
export function spoolError(error: unknown): unknown {
  const code = codeOf(error);
  if (error instanceof CodedError || code === '') return error;
  if (code === 'ENOSPC' || code === 'EDQUOT') return noSpace('no space is left in the spool folder', error);
  return new FetchError(true, 'spool_unusable', `the spool folder cannot be used (${code}); check SPOOL_DIR`, {
    cause: error,
  });
}

export const isNoSpace = (error: unknown): error is FetchError =>
  error instanceof FetchError && error.reason === 'no_space';
