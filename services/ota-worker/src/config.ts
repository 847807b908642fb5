/** The settings of the ota-worker. */
import { TRUST_SETTINGS } from '@khumbu/firmware-trust/roots';
import { USER_AGENT_SETTINGS } from '@khumbu/shared/http/user-agent';
import { LOCATION_SETTINGS } from '@khumbu/shared/locations/settings';
import { COMMON_SETTINGS, optionalText, S3_SETTINGS, WORKER_SETTINGS, whole } from '@khumbu/shared/runtime/config';
import { PROXY_SETTINGS } from '@khumbu/transfer/http/forward-proxy';
import { RETRY_AFTER_SETTINGS } from '@khumbu/transfer/http/retry-after';
import { type Static, Type } from 'typebox';

export const OtaWorkerSettings = Type.Object({
  ...COMMON_SETTINGS,
  ...WORKER_SETTINGS,
  ...S3_SETTINGS,
  ...LOCATION_SETTINGS,
  ...USER_AGENT_SETTINGS,
  ...PROXY_SETTINGS,
  ...RETRY_AFTER_SETTINGS,
  ALLOW_PKCS1_SIGNATURES: TRUST_SETTINGS.ALLOW_PKCS1_SIGNATURES,
  SPOOL_DIR: Type.String({
    default: './var/spool',
    description: 'Folder for images while and after they are fetched.',
  }),
  FIRMWARE_STORE: Type.Enum(['spool', 's3'], {
    default: 'spool',
    description:
      'Where images are kept for all ota-workers: spool when they share SPOOL_DIR, s3 (S3_BUCKET) when each has its own.',
  }),
  MAX_FIRMWARE_BYTES: whole(4 * 1024 ** 3, 1, 'Largest image that is fetched, in bytes.'),
  MIN_FIRMWARE_BYTES: whole(1, 1, 'Least size of an image, in bytes: what is smaller is a failed download.'),
  DOWNLOAD_STALL_MS: whole(60_000, 100, 'Milliseconds a download may stand still before the try counts as failed.'),
  DOWNLOAD_TRIES: whole(3, 1, 'Tries in all where the request names none.'),
  DOWNLOAD_RETRY_INTERVAL_S: whole(30, 0, 'Seconds between tries where the request names none.'),
  REUSE_UNASKED_MS: Type.Integer({
    default: 10_000,
    minimum: 0,
    description:
      'Milliseconds in which an image is used again without asking its origin, when the origin gave no way to ask whether it has changed, or ignores the question.',
  }),
  IGNORED_LOCATION_PARAMETERS: Type.Array(Type.String(), {
    default: [],
    description: 'Comma-separated query parameters (tokens) that do not make a location another one.',
  }),
  LOCATION_CA_FILE: optionalText('PEM file of authorities for https locations, in place of the built-in ones.'),
  UPDATES_AT_ONCE: whole(50, 1, 'Stations one worker works on at once.'),
  FETCHES_AT_ONCE: whole(4, 1, 'Locations one worker fetches at once.'),
});
export type OtaWorkerConfig = Readonly<Static<typeof OtaWorkerSettings>>;
