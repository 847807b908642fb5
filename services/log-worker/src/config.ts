/** The settings of the log-worker. */
import { REDACTION_SETTINGS } from '@khumbu/log-redaction/settings';
import { LOG_COPY_SETTINGS } from '@khumbu/operations/log-copies/settings';
import { WAN_LINK_SETTINGS } from '@khumbu/operations/wan/settings';
import { USER_AGENT_SETTINGS } from '@khumbu/shared/http/user-agent';
import { LOCATION_SETTINGS } from '@khumbu/shared/locations/settings';
import { COMMON_SETTINGS, optionalText, S3_SETTINGS, WORKER_SETTINGS, whole } from '@khumbu/shared/runtime/config';
import { PROXY_SETTINGS } from '@khumbu/transfer/http/forward-proxy';
import { RETRY_AFTER_SETTINGS } from '@khumbu/transfer/http/retry-after';
import { SSH_SETTINGS } from '@khumbu/transfer/ssh-settings';
import { type Static, Type } from 'typebox';
import { DELIVERY_SETTINGS } from './upload/delivery.js';
import { VIEW_SETTINGS } from './views/settings.js';
import { WEBHOOK_SETTINGS } from './webhooks/settings.js';

export const LogWorkerSettings = Type.Object({
  ...COMMON_SETTINGS,
  ...WORKER_SETTINGS,
  ...S3_SETTINGS,
  ...LOCATION_SETTINGS,
  ...USER_AGENT_SETTINGS,
  ...PROXY_SETTINGS,
  ...RETRY_AFTER_SETTINGS,
  ...SSH_SETTINGS,
  ...WAN_LINK_SETTINGS,
  ...REDACTION_SETTINGS,
  ...DELIVERY_SETTINGS,
  ...LOG_COPY_SETTINGS,
  ...VIEW_SETTINGS,
  ...WEBHOOK_SETTINGS,
  SPOOL_DIR: Type.String({
    default: './var/spool',
    description:
      'Folder for archives that are sent to servers, each whole until it is sent, and for notes of uploads that were begun in the object store.',
  }),
  LOG_UPLOAD_TRIES: whole(3, 1, 'Tries in all where the request names none.'),
  LOG_UPLOAD_RETRY_INTERVAL_S: whole(30, 0, 'Seconds between tries where the request names none.'),
  UPLOAD_STALL_MS: whole(60_000, 100, 'Milliseconds an upload may stand still before the try counts as failed.'),
  LOG_GZIP_LEVEL: whole(6, 1, 'Compression with gzip: 1 is fast, 9 is small.', 9),
  LOG_ZSTD_LEVEL: whole(3, 1, 'Compression with zstd: 1 is fast, 9 is small.', 9),
  UPLOADS_AT_ONCE: whole(4, 1, 'Uploads one worker does at once.'),
  LOCATION_CA_FILE: optionalText(
    'PEM file of authorities for https and ftps locations, in place of the built-in ones.',
  ),
});
export type LogWorkerConfig = Readonly<Static<typeof LogWorkerSettings>>;
