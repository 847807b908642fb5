/** Who calls: an API key or a token in `Authorization: Bearer`. */
import { type Caller, openApiKeys } from './api-keys.js';
import { openTokens, type TokenSettings } from './json-web-tokens.js';

/** `undefined`: nobody we know. Rejects with `AUTHORITY_UNREACHABLE` when a token cannot be checked. */
export type Authenticate = (authorization: string | undefined) => Promise<Caller | undefined>;

const BEARER = /^Bearer +([A-Za-z0-9._~+/-]+=*) *$/i;
const looksLikeToken = (text: string): boolean => /^eyJ[\w-]*\.[\w-]+\.[\w-]+$/.test(text);

/** Throws `CONFIG_INVALID`. Without keys file and without JWKS nobody is known. */
export function openAuthentication(settings: TokenSettings & { readonly API_KEYS_FILE?: string }): Authenticate {
  const readKey = openApiKeys(settings.API_KEYS_FILE);
  const readToken = openTokens(settings);
  return async (authorization) => {
    const presented = BEARER.exec(authorization ?? '')?.[1];
    if (presented === undefined) return undefined;
    return readKey(presented) ?? (readToken && looksLikeToken(presented) ? readToken(presented) : undefined);
  };
}
