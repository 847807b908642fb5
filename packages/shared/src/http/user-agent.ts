/**
 * What our requests to other servers call themselves (RFC 9110, 10.1.5): firmware portals and web firewalls refuse who
 * has no name.
 */
import { readFileSync } from 'node:fs';
import { Type } from 'typebox';

const manifest = new URL('../../../package.json', import.meta.url);
/** Of Khumbu. */
export const { version: VERSION } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };

/** `khumbu/<version>`. */
export const DEFAULT_USER_AGENT = `khumbu/${VERSION}`;

export const USER_AGENT_SETTINGS = {
  HTTP_USER_AGENT: Type.Optional(
    Type.String({
      pattern: '^[!-~]([ -~]*[!-~])?$',
      description:
        'User-Agent of requests to firmware servers, log servers, the issuer of tokens and the provider of sign-ins; khumbu/<version> where unset.',
    }),
  ),
} as const;

export const userAgentOf = (config: { readonly HTTP_USER_AGENT?: string }): string =>
  config.HTTP_USER_AGENT ?? DEFAULT_USER_AGENT;
