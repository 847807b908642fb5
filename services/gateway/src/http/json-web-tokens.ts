/**
 * The caller with a JSON Web Token. A token that is not for us by its own claims is refused before any key is looked up.
 * RFC 7519; scopes as in RFC 9068 (`scope`, words) or as a list (`scp`).
 */

import { SCOPES, type Scope } from '@khumbu/rest-contract/api-keys-file';
import { userAgentOf } from '@khumbu/shared/http/user-agent';
import { CodedError, describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { FileReports } from '@khumbu/shared/runtime/followed-file';
import { type CryptoKey, decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from 'jose';
import type { GatewayConfig } from '../config.js';
import type { Caller } from './api-keys.js';
import { openIssuerKeys, SIGNATURE_ALGORITHMS } from './issuer-keys.js';
import { Problem } from './problems.js';
import type { LookTimes } from './regular-look.js';

const CLOCK_TOLERANCE_S = 30;

type Setting = 'JWT_JWKS_URL' | 'JWT_ISSUER' | 'JWT_AUDIENCE' | 'HTTP_USER_AGENT';
export type TokenSettings = Pick<GatewayConfig, Setting>;

const words = (claim: unknown): string[] => {
  if (typeof claim === 'string') return claim.split(' ');
  return Array.isArray(claim) ? claim.filter((word) => typeof word === 'string') : [];
};

/** Only our own scopes; others in the same token are other services' business. */
function scopesOf(payload: JWTPayload): Scope[] {
  const given = new Set(
    [...words(payload.scope), ...words(payload.scp)].map((word) => word.replace(/^khumbu[:.]/, '')),
  );
  return SCOPES.filter((scope) => given.has(scope));
}

/** A name that stands for a caller, in limits and in `askedBy`. */
const isName = (sub: unknown): sub is string => typeof sub === 'string' && sub.trim() !== '';

/** Pure: whether a token is for us by its own claims. The signature is not checked. */
function isMeantForUs(token: string, issuer: string, audience: string, nowS: number): boolean {
  try {
    const { alg } = decodeProtectedHeader(token);
    const { iss, aud, exp, sub } = decodeJwt(token);
    return (
      alg !== undefined &&
      SIGNATURE_ALGORITHMS.includes(alg) &&
      iss === issuer &&
      [aud].flat().includes(audience) &&
      typeof exp === 'number' &&
      exp > nowS - CLOCK_TOLERANCE_S &&
      isName(sub)
    );
  } catch {
    // It is no token.
    return false;
  }
}

/** `undefined`: no tokens are taken. Throws `CONFIG_INVALID` for half a configuration. */
export function openTokens(settings: TokenSettings, reports: FileReports, times?: Partial<LookTimes>) {
  const { JWT_JWKS_URL: url, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = settings;
  if (url === undefined) return undefined;
  if (issuer === undefined || audience === undefined)
    throw new CodedError('CONFIG_INVALID', 'JWT_JWKS_URL needs JWT_ISSUER and JWT_AUDIENCE beside it');
  const keys = openIssuerKeys(url, userAgentOf(settings), reports, times);
  const checks = {
    issuer,
    audience,
    algorithms: [...SIGNATURE_ALGORITHMS],
    clockTolerance: CLOCK_TOLERANCE_S,
    requiredClaims: ['sub', 'exp'],
  };

  /** A token that names no key is tried with each that fits. */
  const verify = async (token: string): Promise<JWTPayload> => {
    try {
      return (await jwtVerify(token, keys.keyOf, checks)).payload;
    } catch (error) {
      if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error;
      for await (const key of error as AsyncIterable<CryptoKey>) {
        try {
          return (await jwtVerify(token, key, checks)).payload;
        } catch (failure) {
          if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure;
        }
      }
      throw new errors.JWSSignatureVerificationFailed();
    }
  };

  return {
    /**
     * Resolves with `undefined` for a token that is not valid, and rejects with `AUTHORITY_UNREACHABLE` when it cannot tell,
     * because the keys of the issuer were never read.
     */
    async callerOf(token: string): Promise<Caller | undefined> {
      if (!isMeantForUs(token, issuer, audience, Date.now() / 1000)) return undefined;
      try {
        const { sub, exp = 0, ...payload } = await verify(token);
        return isName(sub) ? { name: `jwt:${sub}`, scopes: scopesOf(payload), expiresAt: exp * 1000 } : undefined;
      } catch (error) {
        // Errors of jose are about the token.
        if (error instanceof errors.JOSEError) return undefined;
        if (!hasCode(error, 'JWKS_UNREACHABLE', 'JWKS_REFUSED')) throw error;
        throw new Problem('AUTHORITY_UNREACHABLE', describeError(error), {}, { cause: error });
      }
    },
    begin: keys.begin,
    close: keys.close,
  };
}
