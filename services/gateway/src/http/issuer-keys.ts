/**
 * The keys of the issuer of tokens, from its JWKS (RFC 7517). They are looked for at the start, then every few minutes, and
 * when a token names one that is not known, as `regular-look.ts` has it: a key that the issuer has withdrawn is refused
 * after the next look.
 */
import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { FileReports } from '@khumbu/shared/runtime/followed-file';
import {
  type CryptoKey,
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWTHeaderParameters,
} from 'jose';
import { readBounded } from './bounded-body.js';
import { type LookTimes, lookRegularly } from './regular-look.js';

const SETTING = 'JWT_JWKS_URL';
/** Signatures only: a shared secret or `none` proves nothing about an issuer. */
export const SIGNATURE_ALGORITHMS: readonly string[] = [
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
/** RFC 7518 3.3, FIPS 186-5 5.4. */
const LEAST_RSA_BITS = 2048;
const LEAST_RSA_EXPONENT = 65_537n;
const CURVES: readonly unknown[] = ['P-256', 'P-384', 'P-521', 'Ed25519'];
const MAX_BYTES = 1024 * 1024;

/** What a set holds is not acceptable, however often it is fetched. */
const refused = (what: string): CodedError => new CodedError('JWKS_REFUSED', `${SETTING}: ${what}`);

/** Whether it is a key for signatures of a kind we know; others in the same set are for somebody else, RFC 7517 5. */
const isForSignatures = ({ kty, crv, use, alg, key_ops: operations, d }: JsonWebKey): boolean =>
  (use === undefined || use === 'sig') &&
  (alg === undefined || SIGNATURE_ALGORITHMS.includes(alg as string)) &&
  (!Array.isArray(operations) || operations.includes('verify') || d !== undefined) &&
  (kty === 'RSA' || ((kty === 'EC' || kty === 'OKP') && CURVES.includes(crv)));

/** The name of a key in a token is text, RFC 7517 4.5: another one is never found. */
const hasNoName = ({ kid }: JsonWebKey): boolean => kid !== undefined && typeof kid !== 'string';

/** Throws `JWKS_REFUSED` for a key that proves nothing. */
function checkKey(jwk: JsonWebKey, index: number): void {
  const name = typeof jwk.kid === 'string' ? `the key "${jwk.kid.slice(0, 64)}"` : `key ${index + 1}`;
  if (hasNoName(jwk)) throw refused(`${name} has a kid that is no text`);
  if (jwk.d !== undefined) throw refused(`${name} is private: who reads it can make tokens`);
  let details: { modulusLength?: number; publicExponent?: bigint } | undefined;
  try {
    details = createPublicKey({ key: jwk, format: 'jwk' }).asymmetricKeyDetails;
  } catch (error) {
    throw new CodedError('JWKS_REFUSED', `${SETTING}: ${name} cannot be read`, { cause: error });
  }
  if (jwk.kty !== 'RSA') return;
  const { modulusLength = 0, publicExponent = 0n } = details ?? {};
  if (modulusLength < LEAST_RSA_BITS)
    throw refused(`${name} is weak: RSA with ${modulusLength} bits, at least ${LEAST_RSA_BITS} are needed`);
  if (publicExponent < LEAST_RSA_EXPONENT || publicExponent % 2n === 0n)
    throw refused(`${name} is weak: RSA with the exponent ${publicExponent}`);
}

/** Pure. The keys of a set that are ours to use. Throws `JWKS_REFUSED`. */
export function usableKeys(value: unknown): JSONWebKeySet {
  const { keys } = (value ?? {}) as { keys?: unknown };
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'object' && key !== null))
    throw refused('it is no set of keys (RFC 7517)');
  const ours = (keys as JsonWebKey[]).filter(isForSignatures);
  if (ours.length === 0) throw refused('there is no key for signatures in it');
  for (const [index, jwk] of ours.entries()) checkKey(jwk, index);
  return { keys: ours } as JSONWebKeySet;
}

async function fetchSet(url: string, userAgent: string, signal: AbortSignal): Promise<unknown> {
  const headers = { accept: 'application/jwk-set+json, application/json', 'user-agent': userAgent };
  const response = await fetch(url, { headers, redirect: 'manual', signal });
  const reader = response.body;
  if (response.status !== 200) {
    await reader?.cancel();
    throw new Error(`it answers with status ${response.status}`);
  }
  const bytes = await readBounded(reader, MAX_BYTES);
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new Error('it is not JSON', { cause: error });
  }
}

export function openIssuerKeys(
  url: string,
  userAgent: string,
  reports: FileReports,
  times: Partial<LookTimes> | undefined,
) {
  const keys = lookRegularly({
    setting: SETTING,
    look: async (signal) => createLocalJWKSet(usableKeys(await fetchSet(url, userAgent, signal))),
    unreachable: 'JWKS_UNREACHABLE',
    reports,
    times,
  });
  return {
    /** The first look. Rejects with `CONFIG_INVALID` for keys that must not be used; one that cannot be reached is reported. */
    begin: async (): Promise<void> => {
      await keys.lookOnce();
      const problem = keys.problem();
      if (problem?.code === 'JWKS_REFUSED') throw new CodedError('CONFIG_INVALID', problem.message, { cause: problem });
    },
    /** The key of a token. Rejects with `JWKS_UNREACHABLE` while no set was ever read, else with the errors of jose. */
    keyOf: async (header: JWTHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> => {
      const known = keys.current();
      if (known) {
        try {
          return await known(header, token);
        } catch (error) {
          if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
        }
      }
      await keys.lookOnce();
      const find = keys.current();
      if (!find) throw keys.problem() ?? new CodedError('JWKS_UNREACHABLE', `${SETTING} was not read yet`);
      return find(header, token);
    },
    close: keys.close,
  };
}
