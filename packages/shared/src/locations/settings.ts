/** The settings behind a location policy; apart from it, because not every thread that has one reads settings. */
import { type Static, type TObject, Type } from 'typebox';
import { ownListener, ownServer } from './own-servers.js';
import type { LocationRules } from './policy.js';
import { assertStoreAreas } from './store-areas.js';

const HOST_ENTRY = '^(\\*\\.)?([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?$';
const PREFIX = '^(s3://[a-z0-9][a-z0-9.-]+/)?([^/]+/)*$';

export const LOCATION_SETTINGS = {
  /**
   * `http` and `ftp` are in the default: many CSMS and most depot file servers offer nothing else, and what makes an image
   * trustworthy is its signature, not its transport. Production sites that can, set `https,s3`, or `sftp`. An `sftp` location
   * leads nowhere until its host is pinned.
   */
  ALLOWED_LOCATION_SCHEMES: Type.Array(Type.Enum(['https', 'http', 's3', 'ftps', 'ftp', 'sftp']), {
    default: ['https', 'http', 's3', 'ftps', 'ftp', 'sftp'],
    minItems: 1,
    description: 'Comma-separated schemes a firmware or log location may have.',
  }),
  /** EVerest's own list (its `System` module takes ftp, ftps, http and https), and the depot's store. */
  ALLOWED_LOG_SCHEMES: Type.Array(Type.Enum(['https', 'http', 's3', 'ftps', 'ftp', 'sftp']), {
    default: ['ftp', 'ftps', 'http', 'https', 's3'],
    minItems: 1,
    description: 'Comma-separated schemes a log location may have, of those in ALLOWED_LOCATION_SCHEMES.',
  }),
  ALLOWED_LOCATION_HOSTS: Type.Array(Type.String({ pattern: HOST_ENTRY }), {
    default: [],
    description:
      'Comma-separated hosts a location may name: host, *.suffix, host:port, [IPv6]. Empty: any host but loopback, link-local, metadata and multicast addresses.',
  }),
  FORBIDDEN_LOCATION_HOSTS: Type.Array(Type.String({ pattern: HOST_ENTRY }), {
    default: [],
    description:
      'Comma-separated servers no location may lead to, written in the same way, by whatever name or address, beside those of the other settings of the service: the rest of the depot’s own.',
  }),
  ALLOW_LOOPBACK_LOCATIONS: Type.Boolean({
    default: false,
    description: 'true: locations on this machine itself are allowed, for development.',
  }),
  STATION_LOG_PREFIXES: Type.Array(Type.String({ pattern: PREFIX }), {
    default: ['logs/{station}/'],
    description:
      'Comma-separated folders of the object store below which a station may have its logs put: prefix/ in S3_BUCKET, or s3://bucket/prefix/; {station} stands for its folder name.',
  }),
  STATION_FIRMWARE_PREFIXES: Type.Array(Type.String({ pattern: PREFIX }), {
    default: ['images/'],
    description:
      'Comma-separated folders of the object store from which a station may have images fetched, written in the same way.',
  }),
} as const;

type Known = Static<TObject<typeof LOCATION_SETTINGS>> & { readonly S3_BUCKET: string };
/** Where the service has its servers from, as far as it has such a setting. */
type Servers = {
  readonly [Name in
    | 'REDIS_URL'
    | 'MQTT_URL'
    | 'S3_ENDPOINT'
    | 'S3_PUBLIC_ENDPOINT'
    | 'HTTP_HOST'
    | 'HEALTH_HOST']?: string;
} & { readonly [Name in 'HTTP_PORT' | 'HEALTH_PORT']?: number };

/** The rules a service follows. Throws `CONFIG_INVALID` for a prefix that cannot be read. Pure. */
export function locationRules(config: Readonly<Known & Servers>): LocationRules {
  const store = {
    bucket: config.S3_BUCKET,
    logPrefixes: config.STATION_LOG_PREFIXES,
    firmwarePrefixes: config.STATION_FIRMWARE_PREFIXES,
  };
  assertStoreAreas(store);
  const own = [
    ...[config.REDIS_URL, config.MQTT_URL, config.S3_ENDPOINT, config.S3_PUBLIC_ENDPOINT].map(ownServer),
    ownListener(config.HTTP_HOST, config.HTTP_PORT),
    ownListener(config.HEALTH_HOST, config.HEALTH_PORT),
  ].filter((entry) => entry !== undefined);
  return {
    allowedSchemes: config.ALLOWED_LOCATION_SCHEMES,
    logSchemes: config.ALLOWED_LOG_SCHEMES,
    allowedHosts: config.ALLOWED_LOCATION_HOSTS,
    allowLoopback: config.ALLOW_LOOPBACK_LOCATIONS,
    forbiddenHosts: [...own, ...config.FORBIDDEN_LOCATION_HOSTS],
    store,
  };
}
