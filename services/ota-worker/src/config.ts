/** The settings of the ota-worker. */
import { ARTIFACT_SETTINGS } from '@khumbu/artifacts/settings';
import { WAN_SETTINGS } from '@khumbu/operations/wan/settings';
import { USER_AGENT_SETTINGS } from '@khumbu/shared/http/user-agent';
import { IGNORED_PARAMETER_SETTINGS } from '@khumbu/shared/locations/ignored-parameters';
import { LOCATION_SETTINGS } from '@khumbu/shared/locations/settings';
import { COMMON_SETTINGS, optionalText, S3_SETTINGS, WORKER_SETTINGS, whole } from '@khumbu/shared/runtime/config';
import { PROXY_SETTINGS } from '@khumbu/transfer/http/forward-proxy';
import { RETRY_AFTER_SETTINGS } from '@khumbu/transfer/http/retry-after';
import { SSH_SETTINGS } from '@khumbu/transfer/ssh-settings';
import { type Static, Type } from 'typebox';

export const OtaWorkerSettings = Type.Object({
  ...COMMON_SETTINGS,
  ...WORKER_SETTINGS,
  ...S3_SETTINGS,
  ...LOCATION_SETTINGS,
  ...USER_AGENT_SETTINGS,
  ...PROXY_SETTINGS,
  ...RETRY_AFTER_SETTINGS,
  ...SSH_SETTINGS,
  ...WAN_SETTINGS,
  ...ARTIFACT_SETTINGS,
  FIRMWARE_IMPORT_DIR: optionalText(
    'Folder, as of a stick, whose images are taken in; it is only read. Looked at every 5 s.',
  ),
  FIRMWARE_STORE_MAX_BYTES: whole(
    0,
    0,
    'With FIRMWARE_STORE=s3: bytes of all images there beyond which the oldest that nobody needs are removed; 0: no limit.',
  ),
  FIRMWARE_STORE_RESUME: Type.Boolean({
    default: true,
    description:
      'With FIRMWARE_STORE=s3: whether what comes of a download is put into S3_BUCKET on its way, so that another worker resumes it. The bytes go to the object store once more: for a store on the LAN.',
  }),
  FIRMWARE_MD5: Type.Boolean({
    default: false,
    description:
      'Whether MD5 of an image is made in the same pass as SHA-256, for the list of artefacts. It costs about 1.5 s of processor time a GB.',
  }),
  DOWNLOAD_STALL_MS: whole(60_000, 100, 'Milliseconds a download may stand still before the try counts as failed.'),
  DOWNLOAD_TRIES: whole(3, 1, 'Tries in all where the request names none.'),
  DOWNLOAD_RETRY_INTERVAL_S: whole(30, 0, 'Seconds between tries where the request names none.'),
  REUSE_UNASKED_MS: Type.Integer({
    default: 10_000,
    minimum: 0,
    description:
      'Milliseconds in which an image is used again without asking its origin, when the origin gave no way to ask whether it has changed, or ignores the question.',
  }),
  ...IGNORED_PARAMETER_SETTINGS,
  LOCATION_CA_FILE: optionalText(
    'PEM file of authorities for https and ftps locations, in place of the built-in ones.',
  ),
  UPDATES_AT_ONCE: whole(50, 1, 'Stations one worker works on at once.'),
  FETCHES_AT_ONCE: whole(4, 1, 'Locations one worker fetches at once.'),
});
export type OtaWorkerConfig = Readonly<Static<typeof OtaWorkerSettings>>;
