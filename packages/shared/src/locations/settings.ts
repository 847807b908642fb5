/** The settings behind a location policy; apart from it, because not every thread that has one reads settings. */
import { Type } from 'typebox';

export const LOCATION_SETTINGS = {
  /**
   * `http` is in the default: many CSMS and most depot file servers offer nothing else, and what makes an image
   * trustworthy is its signature, not its transport. Production sites that can, set `https,s3`.
   */
  ALLOWED_LOCATION_SCHEMES: Type.Array(Type.Enum(['https', 'http', 's3']), {
    default: ['https', 'http', 's3'],
    minItems: 1,
    description: 'Comma-separated schemes a firmware or log location may have.',
  }),
  ALLOWED_LOCATION_HOSTS: Type.Array(
    Type.String({ pattern: '^(\\*\\.)?([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])(:[0-9]{1,5})?$' }),
    {
      default: [],
      description:
        'Comma-separated hosts a location may name: host, *.suffix, host:port, [IPv6]. Empty: any host but loopback, link-local, metadata and multicast addresses.',
    },
  ),
  ALLOW_LOOPBACK_LOCATIONS: Type.Boolean({
    default: false,
    description: 'true: locations on this machine itself are allowed, for development.',
  }),
} as const;
