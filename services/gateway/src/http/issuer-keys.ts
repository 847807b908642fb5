/**
 * The keys of the issuer of tokens, from its JWKS (RFC 7517). They are looked for at the start, then every few minutes, and
 * when a token names one that is not known; never more than once in an interval, whatever is presented. A set that cannot
 * be reached or used changes nothing: the last good one stays, and it is reported like a file.
 */
import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { FileReports } from '@khumbu/shared/runtime/followed-file';
import {
  type CryptoKey,
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWTHeaderParameters,
} from 'jose';

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

export interface IssuerKeysTimes {
  /** Between two looks at least, and until the next one while there is something wrong. */
  readonly intervalMs: number;
  /** Until the next look while all is well: a key that the issuer has withdrawn is refused after it. */
  readonly refreshMs: number;
  readonly timeoutMs: number;
}
const TIMES: IssuerKeysTimes = { intervalMs: 5000, refreshMs: 600_000, timeoutMs: 2000 };

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
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of reader ?? []) {
    size += chunk.length;
    if (size > MAX_BYTES) throw new Error(`it is longer than ${MAX_BYTES} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw new Error('it is not JSON', { cause: error });
  }
}

/** The reason behind "fetch failed". */
const causeOf = (error: unknown): unknown =>
  error instanceof TypeError && error.cause instanceof Error ? error.cause : error;

export function openIssuerKeys(
  url: string,
  userAgent: string,
  reports: FileReports,
  times: Partial<IssuerKeysTimes> | undefined,
) {
  const { intervalMs, refreshMs, timeoutMs } = { ...TIMES, ...times };
  const closing = new AbortController();
  let find: ReturnType<typeof createLocalJWKSet> | undefined;
  let problem: CodedError | undefined;
  let looking: Promise<void> | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  const look = async (): Promise<void> => {
    lookedAt = performance.now();
    const deadline = deadlineAfter(timeoutMs, closing.signal);
    try {
      const keys = usableKeys(await fetchSet(url, userAgent, deadline.signal));
      find = createLocalJWKSet(keys);
      problem = undefined;
      reports.usable(SETTING);
    } catch (error) {
      if (closing.signal.aborted) return;
      const isRefused = error instanceof CodedError;
      const next = isRefused
        ? error
        : new CodedError('JWKS_UNREACHABLE', `${SETTING} cannot be read: ${describeError(causeOf(error))}`, {
            cause: error,
          });
      if (next.message !== problem?.message) reports.unusable(SETTING, next);
      problem = next;
    } finally {
      deadline.clear();
    }
    clearTimeout(timer);
    timer = setTimeout(() => void lookOnce(), problem ? intervalMs : refreshMs).unref();
  };
  /** One look at a time, and one in an interval. */
  const lookOnce = async (): Promise<void> => {
    if (!looking && performance.now() - lookedAt < intervalMs) return;
    looking ??= look().finally(() => {
      looking = undefined;
    });
    await looking;
  };

  return {
    /** The first look. Rejects with `CONFIG_INVALID` for keys that must not be used; one that cannot be reached is reported. */
    begin: async (): Promise<void> => {
      await lookOnce();
      if (problem?.code === 'JWKS_REFUSED') throw new CodedError('CONFIG_INVALID', problem.message, { cause: problem });
    },
    /** The key of a token. Rejects with `JWKS_UNREACHABLE` while no set was ever read, else with the errors of jose. */
    keyOf: async (header: JWTHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> => {
      if (find) {
        try {
          return await find(header, token);
        } catch (error) {
          if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
        }
      }
      await lookOnce();
      if (!find) throw problem ?? new CodedError('JWKS_UNREACHABLE', `${SETTING} was not read yet`);
      return find(header, token);
    },
    close: (): void => {
      closing.abort();
      clearTimeout(timer);
    },
  };
}
