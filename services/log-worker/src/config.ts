/** The settings of the log-worker. */
import { PROXY_SETTINGS } from '@khumbu/shared/http/forward-proxy';
import { RETRY_AFTER_SETTINGS } from '@khumbu/shared/http/retry-after';
import { USER_AGENT_SETTINGS } from '@khumbu/shared/http/user-agent';
import { LOCATION_SETTINGS } from '@khumbu/shared/locations/settings';
import { COMMON_SETTINGS, S3_SETTINGS, WORKER_SETTINGS } from '@khumbu/shared/runtime/config';
import { Type } from 'typebox';

export const LogWorkerSettings = Type.Object({
  ...COMMON_SETTINGS,
  ...WORKER_SETTINGS,
  ...S3_SETTINGS,
  ...LOCATION_SETTINGS,
  ...USER_AGENT_SETTINGS,
  ...PROXY_SETTINGS,
  ...RETRY_AFTER_SETTINGS,
  SPOOL_DIR: Type.String({
    default: './var/spool',
    description:
      'Folder for archives that are sent by HTTP, and for notes of uploads that were begun in the object store.',
  }),
  SIMULATED_STATIONS_DIR: Type.String({
    default: './var/chargers',
    description: 'Folder with the state of simulated stations.',
  }),
  LOG_UPLOAD_TRIES: Type.Integer({ default: 3, minimum: 1, description: 'Tries in all where the request names none.' }),
  LOG_UPLOAD_RETRY_INTERVAL_S: Type.Integer({
    default: 30,
    minimum: 0,
    description: 'Seconds between tries where the request names none.',
  }),
  UPLOAD_STALL_MS: Type.Integer({
    default: 60_000,
    minimum: 100,
    description: 'Milliseconds an upload may stand still before the try counts as failed.',
  }),
  LOG_GZIP_LEVEL: Type.Integer({
    default: 6,
    minimum: 1,
    maximum: 9,
    description: 'Compression: 1 is fast, 9 is small.',
  }),
  UPLOADS_AT_ONCE: Type.Integer({ default: 4, minimum: 1, description: 'Uploads one worker does at once.' }),
  LOCATION_CA_FILE: Type.Optional(
    Type.String({ description: 'PEM file of authorities for https locations, in place of the built-in ones.' }),
  ),
});
