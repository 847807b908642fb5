/**
 * Who presents a JSON Web Token. Keys come from the issuer's JWKS and are fetched again when an unknown one is named.
 * RFC 7519; scopes as in RFC 9068 (`scope`, words) or as a list (`scp`).
 */
import { CodedError, describeError, hasCode } from '@khumbu/shared/runtime/errors';
import { createRemoteJWKSet, errors, type JWTPayload, jwtVerify } from 'jose';
import { type Caller, SCOPES, type Scope } from './api-keys.js';
import { Problem } from './problems.js';

/** Signatures only: a shared secret or `none` proves nothing about an issuer. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const CLOCK_TOLERANCE_S = 30;

export interface TokenSettings {
  readonly JWT_JWKS_URL?: string;
  readonly JWT_ISSUER?: string;
  readonly JWT_AUDIENCE?: string;
}

const words = (claim: unknown): string[] => {
  if (typeof claim === 'string') return claim.split(' ');
  return Array.isArray(claim) ? claim.filter((word) => typeof word === 'string') : [];
};

/** Only our own scopes; others in the same token are other services' business. */
export function scopesOf(payload: JWTPayload): Scope[] {
  const given = new Set(
    [...words(payload.scope), ...words(payload.scp)].map((word) => word.replace(/^khumbu[:.]/, '')),
  );
  return SCOPES.filter((scope) => given.has(scope));
}

export type ReadToken = (token: string) => Promise<Caller | undefined>;

/**
 * `undefined`: no tokens are taken. The function resolves with `undefined` for a token that is not valid, and rejects
 * with `AUTHORITY_UNREACHABLE` when it cannot tell. Throws `CONFIG_INVALID` for half a configuration.
 */
export function openTokens(settings: TokenSettings): ReadToken | undefined {
  const { JWT_JWKS_URL: url, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = settings;
  if (url === undefined) return undefined;
  if (issuer === undefined || audience === undefined)
    throw new CodedError('CONFIG_INVALID', 'JWT_JWKS_URL needs JWT_ISSUER and JWT_AUDIENCE beside it');
  const keys = createRemoteJWKSet(new URL(url), { timeoutDuration: 3000, cooldownDuration: 10_000 });
  const checks = { issuer, audience, algorithms: ALGORITHMS, clockTolerance: CLOCK_TOLERANCE_S };
  return async (token) => {
    try {
      const { payload } = await jwtVerify(token, keys, { ...checks, requiredClaims: ['sub', 'exp'] });
      const expiresAt = (payload.exp ?? 0) * 1000;
      return { name: `jwt:${payload.sub}`, scopes: scopesOf(payload), expiresAt };
    } catch (error) {
      const isUnreachable =
        !(error instanceof errors.JOSEError) || hasCode(error, errors.JWKSTimeout.code, errors.JWKSInvalid.code);
      if (isUnreachable || error.code === errors.JOSEError.code)
        throw new Problem('AUTHORITY_UNREACHABLE', describeError(error), {}, { cause: error });
      return undefined;
    }
  };
}
