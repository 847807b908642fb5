/** The settings of all services that see where images are kept. */
import { TRUST_SETTINGS } from '@khumbu/firmware-trust/roots';
import { whole } from '@khumbu/shared/runtime/config';
import { Type } from 'typebox';

export const ARTIFACT_SETTINGS = {
  ALLOW_PKCS1_SIGNATURES: TRUST_SETTINGS.ALLOW_PKCS1_SIGNATURES,
  SPOOL_DIR: Type.String({
    default: './var/spool',
    description: 'Folder for images while and after they come.',
  }),
  FIRMWARE_STORE: Type.Enum(['spool', 's3'], {
    default: 'spool',
    description:
      'Where images are kept for all ota-workers: spool when they share SPOOL_DIR, s3 (S3_BUCKET) when each has its own. A gateway takes and hands out images where it has the same.',
  }),
  MAX_FIRMWARE_BYTES: whole(4 * 1024 ** 3, 1, 'Largest image that is taken, in bytes.'),
  MIN_FIRMWARE_BYTES: whole(1, 1, 'Least size of an image, in bytes: what is smaller is a failed download.'),
} as const;
