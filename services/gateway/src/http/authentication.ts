/** The caller by the API key or token in `Authorization: Bearer`. */
import type { FileReports } from '@khumbu/shared/runtime/followed-file';
import type { GatewayConfig } from '../config.js';
import { type Caller, openApiKeys } from './api-keys.js';
import { openTokens, type TokenSettings } from './json-web-tokens.js';
import type { LookTimes } from './regular-look.js';

/** `undefined`: an unknown caller. Rejects with `AUTHORITY_UNREACHABLE` when a token cannot be checked. */
export type Authenticate = (authorization: string | undefined) => Promise<Caller | undefined>;

const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i;
const looksLikeToken = (text: string): boolean => /^eyJ[\w-]*\.[\w-]+\.[\w-]+$/.test(text);

/** Throws `CONFIG_INVALID`. Without keys file and without JWKS no caller is known. */
export function openAuthentication(
  settings: TokenSettings & Pick<GatewayConfig, 'API_KEYS_FILE'>,
  reports: FileReports,
  times?: Partial<LookTimes>,
) {
  const tokens = openTokens(settings, reports, times);
  const keys = openApiKeys(settings.API_KEYS_FILE, reports);
  return {
    authenticate: async (authorization: string | undefined): Promise<Caller | undefined> => {
      const presented = BEARER.exec(authorization ?? '')?.[1];
      if (presented === undefined) return undefined;
      return keys.callerOf(presented) ?? (looksLikeToken(presented) ? tokens?.callerOf(presented) : undefined);
    },
    callerWithHash: keys.callerWithHash,
    /** Before anybody is served. Rejects with `CONFIG_INVALID` when the issuer's keys must not be used. */
    begin: async (): Promise<void> => tokens?.begin(),
    close: (): void => {
      keys.close();
      tokens?.close();
    },
  };
}
