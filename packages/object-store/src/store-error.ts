/** What can go wrong with the object store, and whether another try can help. */
import { CodedError } from '@khumbu/shared/runtime/errors';

/**
 * - `S3_DENIED`: the keys are wrong or may not do this.
 * - `S3_NO_SUCH_BUCKET`, `S3_NO_SUCH_KEY`, `S3_NO_SUCH_UPLOAD`: what was named is not there.
 * - `S3_BAD_REQUEST`: the store does not accept what was asked.
 * - `S3_NOT_SUPPORTED`: the store does not know this operation.
 * - `S3_UNAVAILABLE`: network, overload, a stall, an error of the store, a clock that is far off.
 */
export type StoreErrorCode =
  | 'S3_DENIED'
  | 'S3_NO_SUCH_BUCKET'
  | 'S3_NO_SUCH_KEY'
  | 'S3_NO_SUCH_UPLOAD'
  | 'S3_BAD_REQUEST'
  | 'S3_NOT_SUPPORTED'
  | 'S3_UNAVAILABLE';

/** Never holds what the store said in its own words: those may repeat keys and signatures. */
export class StoreError extends CodedError {
  declare readonly code: StoreErrorCode;
  /** Whether the same request may succeed a moment later. */
  readonly retryable: boolean;
  constructor(code: StoreErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options);
    this.name = 'StoreError';
    this.retryable = code === 'S3_UNAVAILABLE';
  }
}

/** S3 API Reference, "Error responses". */
const CODE_BY_S3_CODE: Readonly<Record<string, StoreErrorCode>> = {
  AccessDenied: 'S3_DENIED',
  AccountProblem: 'S3_DENIED',
  AllAccessDisabled: 'S3_DENIED',
  AuthorizationHeaderMalformed: 'S3_DENIED',
  ExpiredToken: 'S3_DENIED',
  InvalidAccessKeyId: 'S3_DENIED',
  InvalidSecurity: 'S3_DENIED',
  InvalidToken: 'S3_DENIED',
  SignatureDoesNotMatch: 'S3_DENIED',
  NoSuchBucket: 'S3_NO_SUCH_BUCKET',
  NoSuchKey: 'S3_NO_SUCH_KEY',
  NotFound: 'S3_NO_SUCH_KEY',
  NoSuchUpload: 'S3_NO_SUCH_UPLOAD',
  MethodNotAllowed: 'S3_NOT_SUPPORTED',
  NotImplemented: 'S3_NOT_SUPPORTED',
  // The request was fine, its way to the store was not.
  BadDigest: 'S3_UNAVAILABLE',
  IncompleteBody: 'S3_UNAVAILABLE',
  InternalError: 'S3_UNAVAILABLE',
  OperationAborted: 'S3_UNAVAILABLE',
  RequestTimeTooSkewed: 'S3_UNAVAILABLE',
  RequestTimeout: 'S3_UNAVAILABLE',
  ServiceUnavailable: 'S3_UNAVAILABLE',
  SlowDown: 'S3_UNAVAILABLE',
};

/** Statuses of an overloaded or broken store. */
export const isUnavailableStatus = (status: number): boolean => status === 408 || status === 429 || status >= 500;

function codeByStatus(status: number | undefined): StoreErrorCode {
  if (status === undefined || status < 300) return 'S3_UNAVAILABLE';
  if (status === 401 || status === 403) return 'S3_DENIED';
  if (status === 405 || status === 501) return 'S3_NOT_SUPPORTED';
  return isUnavailableStatus(status) ? 'S3_UNAVAILABLE' : 'S3_BAD_REQUEST';
}

/** The error of an S3 client call as ours. `what` names the call; `status` is the last HTTP status seen, if any. */
export function toStoreError(error: unknown, what: string, status: number | undefined): StoreError {
  if (error instanceof StoreError) return error;
  const { name, code } = error instanceof Error ? (error as Error & { code?: unknown }) : { name: '', code: undefined };
  // The client checks names itself, before anything is sent.
  if (/^Invalid\w+Error$/.test(name) && status === undefined) {
    return new StoreError('S3_BAD_REQUEST', `${what}: the bucket or the key has no valid name`);
  }
  const s3Code = typeof code === 'string' && /^\w+$/.test(code) ? code : undefined;
  const ours = (s3Code === undefined ? undefined : CODE_BY_S3_CODE[s3Code]) ?? codeByStatus(status);
  const detail = [s3Code, status === undefined ? undefined : `HTTP ${status}`].filter((part) => part !== undefined);
  const meaning = s3Code === 'RequestTimeTooSkewed' ? SKEWED : MEANINGS[ours];
  return new StoreError(ours, `${what}: ${meaning}${detail.length > 0 ? ` (${detail.join(', ')})` : ''}`);
}

/** As an outage: clocks are set right by others, mostly soon. */
const SKEWED = 'the clock of this host and that of the object store differ by too much; set them right';

const MEANINGS: Readonly<Record<StoreErrorCode, string>> = {
  S3_DENIED: 'the object store denies it; check its keys and their rights',
  S3_NO_SUCH_BUCKET: 'the bucket does not exist',
  S3_NO_SUCH_KEY: 'the object does not exist',
  S3_NO_SUCH_UPLOAD: 'the upload was ended by someone else',
  S3_BAD_REQUEST: 'the object store does not accept the request',
  S3_NOT_SUPPORTED: 'the object store does not support it',
  S3_UNAVAILABLE: 'the object store cannot be used now; see whether it runs at S3_ENDPOINT',
};
