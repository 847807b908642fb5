/**
 * What a store shall do for an object beside keeping it: encrypt it, lock it, tag it. Not every store that speaks S3 can, and
 * some take such a header and ignore it: what was not done is an error (`S3_NOT_SUPPORTED`), and nothing stays that lacks it.
 */
import type { Client } from 'minio';
import type { StoreCaller } from './store-call.js';
import { type Answered, StoreError } from './store-error.js';

export interface Protection {
  /** `kmsKey`: id or ARN; by default the store's own key. */
  readonly encryption?: { readonly algorithm: 'AES256' | 'aws:kms'; readonly kmsKey?: string };
  /** From the moment it is put. The bucket needs object lock. */
  readonly lock?: { readonly mode: 'GOVERNANCE' | 'COMPLIANCE'; readonly days: number };
  readonly tags?: Readonly<Record<string, string>>;
}

const DAY_MS = 86_400_000;

/** Headers of PutObject and CreateMultipartUpload. Pure. */
export function protectionHeaders(
  { encryption, lock, tags }: Protection = {},
  now: number = Date.now(),
): Record<string, string> {
  const key = encryption?.kmsKey;
  return {
    ...(encryption === undefined ? {} : { 'x-amz-server-side-encryption': encryption.algorithm }),
    ...(key === undefined ? {} : { 'x-amz-server-side-encryption-aws-kms-key-id': key }),
    ...(lock === undefined
      ? {}
      : {
          'x-amz-object-lock-mode': lock.mode,
          'x-amz-object-lock-retain-until-date': new Date(now + lock.days * DAY_MS).toISOString(),
        }),
    ...(tags === undefined ? {} : { 'x-amz-tagging': new URLSearchParams(tags).toString() }),
  };
}

const lacks = (what: string, done: string): StoreError =>
  new StoreError(
    'S3_NOT_SUPPORTED',
    `${what}: the object store does not ${done}, as it is set to; nothing was left there`,
  );

/** A store that encrypts says so in its answer. Throws `S3_NOT_SUPPORTED`. */
export function requireEncrypted(what: string, protection: Protection | undefined, { encryption }: Answered): void {
  const wanted = protection?.encryption?.algorithm;
  if (wanted !== undefined && encryption !== wanted) throw lacks(what, `encrypt by ${wanted}`);
}

/** What a store has against the request as it was protected, told so; any other error as it is. */
export function explainRefusal(protection: Protection | undefined, error: unknown): unknown {
  if (protection === undefined || !(error instanceof StoreError)) return error;
  if (error.code !== 'S3_BAD_REQUEST' && error.code !== 'S3_NOT_SUPPORTED') return error;
  const said = `${error.message}; it may lack the encryption, the object lock or the tags that are set for it`;
  return new StoreError('S3_NOT_SUPPORTED', said, { cause: error });
}

/** `undefined`: these keys may not see it. */
async function ifSeen<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof StoreError && error.code === 'S3_DENIED') return undefined;
    if (error instanceof StoreError && (error.retryable || error.code === 'S3_NO_SUCH_BUCKET')) throw error;
    return false as T;
  }
}

const isLocked = async (client: Client, bucket: string, key: string): Promise<boolean> =>
  (await client.getObjectRetention(bucket, key))?.mode !== undefined;

const tagCount = async (client: Client, bucket: string, key: string): Promise<number> =>
  [await client.getObjectTagging(bucket, key)].flat(2).length;

/**
 * Whether an object that was put is locked and tagged: stores do not say so when they take it. What the keys may not see counts
 * as done. Rejects with `S3_NOT_SUPPORTED`, after the object was removed.
 */
export async function requireKept(
  store: StoreCaller,
  { bucket, key }: { readonly bucket: string; readonly key: string },
  { lock, tags }: Protection = {},
): Promise<void> {
  const what = `put ${bucket}/${key}`;
  const locked = lock && (await ifSeen(store.call(what, undefined, (client) => isLocked(client, bucket, key))));
  const tagged = tags && (await ifSeen(store.call(what, undefined, (client) => tagCount(client, bucket, key))));
  const isTagged = tagged === undefined || tagged === Object.keys(tags ?? {}).length;
  if (locked !== false && isTagged) return;
  await store.call(what, undefined, (client) => client.removeObject(bucket, key));
  throw lacks(what, locked === false ? `lock it in the mode ${lock?.mode}` : 'tag it');
}
