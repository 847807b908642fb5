/** The settings of the gateway. */
import { ARTIFACT_SETTINGS } from '@khumbu/artifacts/settings';
import { TRUST_SETTINGS } from '@khumbu/firmware-trust/roots';
import { LOG_COPY_SETTINGS } from '@khumbu/operations/log-copies/settings';
import { WAN_SETTINGS } from '@khumbu/operations/wan/settings';
import { USER_AGENT_SETTINGS } from '@khumbu/shared/http/user-agent';
import { IGNORED_PARAMETER_SETTINGS } from '@khumbu/shared/locations/ignored-parameters';
import { LOCATION_SETTINGS } from '@khumbu/shared/locations/settings';
import { ARCHIVE_FORMATS } from '@khumbu/shared/locations/upload-location';
import { COMMON_SETTINGS, optionalText, S3_SETTINGS, whole } from '@khumbu/shared/runtime/config';
import { type Static, Type } from 'typebox';
import { COLLECTION_SETTINGS } from './collection/settings.js';
import { SIGN_IN_SETTINGS } from './http/sign-in/settings.js';

export const GatewaySettings = Type.Object({
  ...COMMON_SETTINGS,
  ...LOCATION_SETTINGS,
  ...S3_SETTINGS,
  ...ARTIFACT_SETTINGS,
  ...IGNORED_PARAMETER_SETTINGS,
  MANUFACTURER_ROOTS_FILE: TRUST_SETTINGS.MANUFACTURER_ROOTS_FILE,
  FIRMWARE_CRL_FILE: TRUST_SETTINGS.FIRMWARE_CRL_FILE,
  REVOCATION_UNKNOWN: TRUST_SETTINGS.REVOCATION_UNKNOWN,
  CERTIFICATE_STRENGTH: TRUST_SETTINGS.CERTIFICATE_STRENGTH,
  MQTT_URL: Type.String({ default: 'mqtt://127.0.0.1:1883', description: 'MQTT broker; mqtts:// for TLS.' }),
  MQTT_USERNAME: optionalText('User name at the broker.'),
  MQTT_PASSWORD: optionalText('Password at the broker.'),
  MQTT_CA_FILE: optionalText('PEM file of the authority that signed the broker’s certificate.'),
  MQTT_CLIENT_ID: optionalText(
    'Client id at the broker, the same for all gateways of a depot; khumbu-<KEY_PREFIX> if not set. Keep it secret where the broker binds no client ids to users: who knows it can take the session.',
    '^[\\x21-\\x7e]{1,128}$',
  ),
  MQTT_TOPIC_PREFIX: Type.String({
    default: '',
    description: 'Put in front of every topic; {station} stands for the station id, as in depot/{station}/.',
  }),
  STATION_MESSAGES_PER_S: Type.Integer({
    default: 200,
    minimum: 10,
    description:
      'Messages of one station that are worked on in a second, twice as many at once; as many again get the default reply, the rest is dropped.',
  }),
  MAX_UNKNOWN_STATIONS: Type.Integer({
    default: 1000,
    minimum: 1,
    description:
      'Stations missing from the stations file that are listed; beyond them a new one is listed when another was silent for a minute.',
  }),
  MQTT_SESSION_EXPIRY_S: Type.Integer({
    default: 120,
    minimum: 2,
    maximum: 300,
    description:
      'Seconds the broker keeps requests, resets and permissions while no gateway is connected, or Redis cannot be reached.',
  }),
  LOG_ARCHIVE_FORMAT: Type.Enum([...ARCHIVE_FORMATS], {
    default: 'gzip',
    description: 'How archives of logs are compressed: gzip (.tar.gz), which opens everywhere, or zstd (.tar.zst).',
  }),
  ...LOG_COPY_SETTINGS,
  ...COLLECTION_SETTINGS,
  HTTP_HOST: Type.String({ default: '127.0.0.1', description: 'Address of the REST API.' }),
  HTTP_PORT: whole(8080, 0, 'TCP port of the REST API.', 65535),
  API_KEYS_FILE: optionalText(
    'JSON file of API keys: name, sha256 of the key in hex, scopes. Without it REST is closed.',
  ),
  JWT_JWKS_URL: optionalText(
    'Where the keys of the issuer of JSON Web Tokens are; set to take tokens beside API keys.',
    '^https?://',
  ),
  JWT_ISSUER: optionalText('The iss a token must have.'),
  JWT_AUDIENCE: optionalText('The aud a token must have.'),
  SESSION_S: Type.Integer({
    default: 43_200,
    minimum: 60,
    maximum: 2_592_000,
    description:
      'Seconds after which the session of a browser ends; it ends with its API key, or with its row of OIDC_RIGHTS, at the latest.',
  }),
  ...SIGN_IN_SETTINGS,
  ...USER_AGENT_SETTINGS,
  HTTPS_CERT_FILE: optionalText(
    'PEM file with the certificate chain of the REST API; with HTTPS_KEY_FILE: HTTPS only.',
  ),
  HTTPS_KEY_FILE: optionalText('PEM file with the key of that certificate.'),
  HTTP_BODY_LIMIT_BYTES: whole(65_536, 16_384, 'Longest body of a request, in bytes.'),
  HTTP_REQUEST_TIMEOUT_S: Type.Integer({
    default: 30,
    minimum: 1,
    maximum: 3600,
    description:
      'Seconds after its first byte in which a request has to be whole, headers and body; then 408. As long a connection may be idle. Event streams are whole requests and stay.',
  }),
  RATE_LIMIT_PER_MINUTE: whole(600, 1, 'Requests that each caller may send to each gateway in a minute.'),
  MAX_EVENT_SUBSCRIBERS: whole(500, 1, 'Event streams this gateway serves at once.'),
  MAX_EVENT_STREAMS_PER_CALLER: Type.Integer({
    default: 50,
    minimum: 1,
    description:
      'Event streams this gateway serves at once to each caller (the name of a key, the subject of a token).',
  }),
  MAX_LOG_VIEWS: whole(50, 1, 'Live views of logs this gateway serves at once.'),
  MAX_LOG_VIEWS_PER_CALLER: whole(5, 1, 'Live views of logs this gateway serves at once to each caller.'),
  ...WAN_SETTINGS,
  ARCHIVE_URL_S: whole(300, 10, 'Seconds for which the URL of a log archive works.', 604_800),
  ARTIFACT_URL_S: whole(
    900,
    1,
    'Seconds for which a signed URL of an artefact works where the request does not say.',
    604_800,
  ),
  RESET_RESERVATION_S: Type.Integer({
    default: 300,
    minimum: 1,
    description:
      'Seconds in which no install starts after EVerest was told that it may reset; its next start ends them.',
  }),
  KEEP_OPERATIONS_PER_STATION: whole(50, 1, 'Ended operations that are kept for each station.'),
  KEEP_OPERATIONS_DAYS: whole(30, 1, 'Days an ended operation is kept.'),
  SECURITY_LOG_DAYS: whole(365, 1, 'Days an entry of the security log is kept in Redis, some 500 bytes each.', 36_500),
  SECURITY_LOG_MAX_ENTRIES: whole(500_000, 1000, 'Entries of the security log that are kept, whatever their age.'),
  WORKERS_GONE_AFTER_S: Type.Integer({
    default: 15,
    minimum: 3,
    description: 'Seconds without a worker of a kind after which requests that need one are refused.',
  }),
  RECONCILE_INTERVAL_MS: whole(2000, 100, 'Milliseconds between two comparisons of records and jobs.'),
});
export type GatewayConfig = Readonly<Static<typeof GatewaySettings>>;
