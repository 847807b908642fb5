/** Why a fetch failed, in words that fit a record; whether trying again can help. */
import { ProxyError } from '@khumbu/shared/http/proxy-tunnel';
import { CodedError } from '@khumbu/shared/runtime/errors';

export type FetchReason =
  | 'location_refused'
  | 'scheme_unsupported'
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
  /** No bytes at all. */
  | 'empty'
  /** Fewer bytes than the least image. */
  | 'too_small'
  | 'too_many_redirects'
  | 'too_large'
  | 'wrong_length'
  | 'no_space'
  | 'spool_unusable'
  | 'superseded'
  | ProxyError['reason']
  | `http_${number}`
  /** Of our own object store, whose settings are wrong. */
  | 's3_wrong_region'
  | 's3_wrong_endpoint';

/** Statuses below 500 after which another try may succeed. */
export const RETRYABLE_4XX: readonly number[] = [408, 425, 429];

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

/** First match wins; anything else that breaks a connection is a `cut`. */
const NETWORK_REASONS: readonly (readonly [RegExp, FetchReason])[] = [
  [/^(ENOTFOUND|ENODATA|EAI_)/, 'dns'],
  [/^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENETDOWN|ETIMEDOUT|EADDRNOTAVAIL)$/, 'connect'],
  [/^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH|INVALID_|EPROTO)/, 'tls'],
  [/^HPE_/, 'bad_response'],
];

/** What `node:http`, `node:tls` and DNS fail with. */
export function networkError(error: unknown): FetchError {
  if (error instanceof FetchError) return error;
  if (error instanceof ProxyError) {
    const { status = 502, reason, message, cause } = error;
    return new FetchError(status >= 500 || RETRYABLE_4XX.includes(status), reason, message, { cause });
  }
  const code = codeOf(error);
  if (code === 'LOCATION_ADDRESS_FORBIDDEN')
    return new FetchError(false, 'location_refused', 'the address behind the location is not allowed', {
      cause: error,
    });
  const reason = NETWORK_REASONS.find(([pattern]) => pattern.test(code))?.[1] ?? 'cut';
  return new FetchError(true, reason, `the connection failed (${code || 'no code'})`, { cause: error });
}

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
