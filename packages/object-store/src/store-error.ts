/** What can go wrong with the object store, and whether another try can help. */
import { CodedError } from '@khumbu/shared/runtime/errors';

/** What each code means, for people. `S3_UNAVAILABLE` is also overload, a stall, an error of the store, a clock far off. */
const MEANINGS = {
  S3_DENIED: 'the object store denies it; check its keys and their rights',
  S3_WRONG_REGION: 'the object store is in another region; set S3_REGION to it',
  S3_WRONG_ENDPOINT: 'the object store is elsewhere; set S3_ENDPOINT and S3_REGION to where the bucket is',
  S3_NO_SUCH_BUCKET: 'the bucket does not exist; make it, or set S3_BUCKET',
  S3_NO_SUCH_KEY: 'the object does not exist',
  S3_NO_SUCH_UPLOAD: 'the upload was ended by someone else',
  S3_QUOTA: 'the object store or its bucket is full; raise its quota or make room',
  S3_BAD_REQUEST: 'the object store does not accept the request',
  S3_NOT_SUPPORTED: 'the object store does not support it',
  S3_CORRUPT: 'the object is not what was put there',
  S3_UNAVAILABLE: 'the object store cannot be used now; see whether it runs at S3_ENDPOINT',
} as const;
export type StoreErrorCode = keyof typeof MEANINGS;

/** Never holds the message of the store: that may repeat keys and signatures. */
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

/**
 * What stores say. S3 API Reference, "Error responses"; Ceph RGW `rgw_common.cc`, Garage, MinIO and Versity for quotas.
 * A code that is not here counts by its status.
 */
const CODE_BY_S3_CODE: Readonly<Record<string, StoreErrorCode>> = {
  AccessDenied: 'S3_DENIED',
  AccountProblem: 'S3_DENIED',
  AllAccessDisabled: 'S3_DENIED',
  ExpiredToken: 'S3_DENIED',
  InvalidAccessKeyId: 'S3_DENIED',
  InvalidSecurity: 'S3_DENIED',
  InvalidToken: 'S3_DENIED',
  NotSignedUp: 'S3_DENIED',
  SignatureDoesNotMatch: 'S3_DENIED',
  // The scope of the signature, of which the region is what a setting can get wrong.
  AuthorizationHeaderMalformed: 'S3_WRONG_REGION',
  AuthorizationQueryParametersError: 'S3_WRONG_REGION',
  IllegalLocationConstraintException: 'S3_WRONG_REGION',
  InvalidLocationConstraint: 'S3_WRONG_REGION',
  InvalidRegion: 'S3_WRONG_REGION',
  MovedPermanently: 'S3_WRONG_ENDPOINT',
  PermanentRedirect: 'S3_WRONG_ENDPOINT',
  Redirect: 'S3_WRONG_ENDPOINT',
  NoSuchBucket: 'S3_NO_SUCH_BUCKET',
  NoSuchKey: 'S3_NO_SUCH_KEY',
  NotFound: 'S3_NO_SUCH_KEY',
  NoSuchUpload: 'S3_NO_SUCH_UPLOAD',
  InsufficientStorage: 'S3_QUOTA',
  InsufficientStorageSpace: 'S3_QUOTA',
  QuotaExceeded: 'S3_QUOTA',
  ServiceQuotaExceeded: 'S3_QUOTA',
  StorageQuotaExceeded: 'S3_QUOTA',
  XMinioAdminBucketQuotaExceeded: 'S3_QUOTA',
  XMinioStorageFull: 'S3_QUOTA',
  MethodNotAllowed: 'S3_NOT_SUPPORTED',
  NotImplemented: 'S3_NOT_SUPPORTED',
  // The request was fine, its way to the store was not, or the store was not ready for it.
  BadDigest: 'S3_UNAVAILABLE',
  ConditionalRequestConflict: 'S3_UNAVAILABLE',
  IncompleteBody: 'S3_UNAVAILABLE',
  InternalError: 'S3_UNAVAILABLE',
  // Another writer has put other content there meanwhile: the next try compares.
  InvalidPart: 'S3_UNAVAILABLE',
  OperationAborted: 'S3_UNAVAILABLE',
  RequestLimitExceeded: 'S3_UNAVAILABLE',
  RequestTimeTooSkewed: 'S3_UNAVAILABLE',
  RequestTimeout: 'S3_UNAVAILABLE',
  ServiceUnavailable: 'S3_UNAVAILABLE',
  SlowDown: 'S3_UNAVAILABLE',
  TemporaryRedirect: 'S3_UNAVAILABLE',
  Throttling: 'S3_UNAVAILABLE',
  ThrottlingException: 'S3_UNAVAILABLE',
  TooManyRequests: 'S3_UNAVAILABLE',
  XAmzContentSHA256Mismatch: 'S3_UNAVAILABLE',
};

/** 507 Insufficient Storage, RFC 4918 11.5. */
const FULL = 507;
/** Statuses of an overloaded or broken store. */
export const isUnavailableStatus = (status: number): boolean =>
  status === 408 || status === 425 || status === 429 || (status >= 500 && status !== FULL);

function codeByStatus(status: number | undefined): StoreErrorCode {
  if (status === undefined || status < 300 || status === 307) return 'S3_UNAVAILABLE';
  if (status < 400) return 'S3_WRONG_ENDPOINT';
  if (status === 401 || status === 403) return 'S3_DENIED';
  if (status === 405 || status === 501) return 'S3_NOT_SUPPORTED';
  if (status === FULL) return 'S3_QUOTA';
  return isUnavailableStatus(status) ? 'S3_UNAVAILABLE' : 'S3_BAD_REQUEST';
}

/** What is known of the last answer in a call. */
export interface Answered {
  readonly status?: number;
  /** `Date` of the answer, in milliseconds since 1970. */
  readonly storeTime?: number;
  /** The clock of this host when it came. */
  readonly ourTime?: number;
  /** `x-amz-bucket-region`. */
  readonly region?: string;
  /** `x-amz-server-side-encryption`. */
  readonly encryption?: string;
}

/** The bound of most stores is 15 minutes; an answer to a question without body does not say why it was refused. */
const SKEW_MS = 10 * 60_000;
const isSkewed = ({ status, storeTime, ourTime }: Answered): boolean =>
  (status === 400 || status === 403) &&
  storeTime !== undefined &&
  ourTime !== undefined &&
  Math.abs(storeTime - ourTime) > SKEW_MS;

/** Words of S3, never sentences. */
const word = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(value) ? value : undefined;

function codeOf(s3Code: string | undefined, answered: Answered): StoreErrorCode {
  if (s3Code === 'RequestTimeTooSkewed' || isSkewed(answered)) return 'S3_UNAVAILABLE';
  const code = (s3Code === undefined ? undefined : CODE_BY_S3_CODE[s3Code]) ?? codeByStatus(answered.status);
  // AWS answers a HEAD that was signed for another region with a plain 400 and this header.
  return code === 'S3_BAD_REQUEST' && answered.status === 400 && answered.region !== undefined
    ? 'S3_WRONG_REGION'
    : code;
}

function meaningOf(code: StoreErrorCode, s3Code: string | undefined, answered: Answered, region?: string): string {
  if (s3Code === 'RequestTimeTooSkewed' || (code === 'S3_UNAVAILABLE' && isSkewed(answered))) return SKEWED;
  if (s3Code === 'SignatureDoesNotMatch') return UNSIGNED;
  if (region !== undefined && code === 'S3_WRONG_REGION')
    return `the bucket is in the region ${region}: set S3_REGION to it`;
  if (region !== undefined && code === 'S3_WRONG_ENDPOINT')
    return `${MEANINGS.S3_WRONG_ENDPOINT}; the bucket is in the region ${region}`;
  return MEANINGS[code];
}

/** The error of an S3 client call as ours. `what` names the call. */
export function toStoreError(error: unknown, what: string, answered: Answered): StoreError {
  if (error instanceof StoreError) return error;
  const said: { name?: string; code?: unknown; region?: unknown } = error instanceof Error ? error : {};
  const { status } = answered;
  // The client checks names itself, before anything is sent.
  if (/^Invalid\w+Error$/.test(said.name ?? '') && status === undefined) {
    return new StoreError('S3_BAD_REQUEST', `${what}: the bucket or the key has no valid name`);
  }
  const s3Code = word(said.code);
  const code = codeOf(s3Code, answered);
  const detail = [s3Code, status === undefined ? undefined : `HTTP ${status}`].filter((part) => part !== undefined);
  const meaning = meaningOf(code, s3Code, answered, word(said.region) ?? word(answered.region));
  return new StoreError(code, `${what}: ${meaning}${detail.length > 0 ? ` (${detail.join(', ')})` : ''}`);
}

/** As an outage: clocks are set right by others, mostly soon. */
const SKEWED = 'the clock of this host and that of the object store differ by too much; set them right';
const UNSIGNED = 'the object store cannot verify our signature; check S3_SECRET_KEY and S3_REGION';
