/** How archives are handed over: settings of HTTP uploads, and of objects in the depot's own store. */
import type { Protection } from '@khumbu/object-store/protection';
import { MIN_PART_BYTES } from '@khumbu/object-store/put-stream';
import { optionalText, whole } from '@khumbu/shared/runtime/config';
import { HTTP_METHODS } from '@khumbu/transfer/port';
import { type Static, type TObject, Type } from 'typebox';
import type { Delivery } from './upload-archive.js';

/** S3 API Reference, "Object tagging": at most 10, no signs that the header could not carry. */
const TAG = '^[A-Za-z0-9 _.:/+@-]{1,128}=[A-Za-z0-9 _.:/=+@-]{0,256}$';

export const DELIVERY_SETTINGS = {
  LOG_UPLOAD_METHOD: Type.Enum([...HTTP_METHODS], {
    default: 'put',
    description:
      'How archives go to http and https: put, post (the archive is the body), or form (the field uploadedfile of multipart/form-data, by POST).',
  }),
  LOG_UPLOAD_PART_BYTES: whole(
    8 * 1024 * 1024,
    MIN_PART_BYTES,
    'Bytes of a part of an upload to the object store: a store takes 10000 parts of one object, Swift 1000.',
    1024 * 1024 * 1024,
  ),
  LOG_S3_ENCRYPTION: Type.Enum(['none', 'AES256', 'aws:kms'], {
    default: 'none',
    description: 'Server-side encryption that is asked of the object store for archives.',
  }),
  LOG_S3_KMS_KEY: optionalText('Id or ARN of the key for LOG_S3_ENCRYPTION=aws:kms, if not the store’s own.'),
  LOG_S3_LOCK: Type.Enum(['none', 'GOVERNANCE', 'COMPLIANCE'], {
    default: 'none',
    description: 'Object lock of archives in the object store; its bucket must have been made with it.',
  }),
  LOG_S3_LOCK_DAYS: whole(365, 1, 'Days for which LOG_S3_LOCK holds an archive.', 36_500),
  LOG_S3_TAGS: Type.Array(Type.String({ pattern: TAG }), {
    default: [],
    maxItems: 10,
    description: 'Comma-separated tags of archives in the object store, as name=value.',
  }),
} as const;

type Settings = Readonly<Static<TObject<typeof DELIVERY_SETTINGS>>>;

function protectionOf(config: Settings): Protection {
  const { LOG_S3_ENCRYPTION: algorithm, LOG_S3_KMS_KEY: kmsKey, LOG_S3_LOCK: mode, LOG_S3_TAGS: tags } = config;
  return {
    ...(algorithm === 'none' ? {} : { encryption: { algorithm, ...(kmsKey === undefined ? {} : { kmsKey }) } }),
    ...(mode === 'none' ? {} : { lock: { mode, days: config.LOG_S3_LOCK_DAYS } }),
    ...(tags.length === 0
      ? {}
      : {
          tags: Object.fromEntries(
            tags.map((tag) => [tag.slice(0, tag.indexOf('=')), tag.slice(tag.indexOf('=') + 1)]),
          ),
        }),
  };
}

/** Pure. */
export function deliveryOf(config: Settings): Delivery {
  const protection = protectionOf(config);
  return {
    method: config.LOG_UPLOAD_METHOD,
    partBytes: config.LOG_UPLOAD_PART_BYTES,
    ...(Object.keys(protection).length === 0 ? {} : { protection }),
  };
}
