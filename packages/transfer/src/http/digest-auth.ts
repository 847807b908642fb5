/**
 * Digest authentication of a client: RFC 7616, with MD5, MD5-sess, SHA-256 and SHA-256-sess, `qop=auth` and, as RFC 2617
 * allows, none. Not `auth-int`, which wants the whole body read before it is sent, and no hashed user name (3.4.4), which
 * a server only offers.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Credentials } from '@khumbu/shared/locations/location';
import type { Challenge } from './challenges.js';

/** Best first: of several challenges the strongest we know is answered (RFC 7616, 3.7). */
const ALGORITHMS: Readonly<Record<string, string>> = {
  'sha-256-sess': 'sha256',
  'sha-256': 'sha256',
  'md5-sess': 'md5',
  md5: 'md5',
};

/** A nonce of a server, and how often it was used. */
export interface DigestState {
  readonly challenge: Challenge;
  readonly count: number;
}

const algorithmOf = ({ parameters }: Challenge): string => (parameters.algorithm ?? 'MD5').toLowerCase();
/** `undefined`: as before RFC 7616; an empty list says no more than none. */
function qops({ parameters }: Challenge): readonly string[] | undefined {
  const listed = parameters.qop?.split(',').map((one) => one.trim().toLowerCase());
  return listed?.some((one) => one !== '') ? listed : undefined;
}

const isAnswerable = (challenge: Challenge): boolean =>
  challenge.scheme === 'digest' &&
  challenge.parameters.nonce !== undefined &&
  algorithmOf(challenge) in ALGORITHMS &&
  (qops(challenge)?.includes('auth') ?? true);

/** The challenge to answer; `undefined`: there is none we can. Pure. */
export function digestChallenge(challenges: readonly Challenge[]): Challenge | undefined {
  const order = Object.keys(ALGORITHMS);
  return challenges
    .filter(isAnswerable)
    .toSorted((a, b) => order.indexOf(algorithmOf(a)) - order.indexOf(algorithmOf(b)))[0];
}

const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;
/** A header is ASCII; a name that is not goes as RFC 7616, 3.4 and RFC 8187 want it. */
const userName = (name: string): string => {
  if (/^[\x20-\x7e]*$/.test(name)) return `username=${quoted(name)}`;
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  return `username*=UTF-8''${encoded}`;
};

/** The value of `Authorization`. `count` from 1: a number of use of the nonce, each once. Pure but for the default `cnonce`. */
export function digestAuthorization(
  { challenge, count }: DigestState,
  /** `uri`: as in the request line. */
  { method, uri, credentials }: { readonly method: string; readonly uri: string; readonly credentials: Credentials },
  cnonce = randomBytes(16).toString('hex'),
): string {
  const { username, password } = credentials;
  const { realm = '', nonce = '', opaque, algorithm } = challenge.parameters;
  const name = algorithmOf(challenge);
  const hash = (...parts: readonly (string | Buffer)[]): string => {
    const digest = createHash(ALGORITHMS[name] ?? 'md5');
    parts.forEach((part, at) => void digest.update(at === 0 ? '' : ':').update(part));
    return digest.digest('hex');
  };
  // Headers come as Latin-1, whatever their bytes are, and go back as such: the server hashes the bytes.
  const realmBytes = Buffer.from(realm, 'latin1');
  const qop = qops(challenge) === undefined ? undefined : 'auth';
  const nc = count.toString(16).padStart(8, '0');
  const plain = hash(username, realmBytes, password);
  const a1 = name.endsWith('-sess') ? hash(plain, nonce, cnonce) : plain;
  const a2 = hash(method, uri);
  const response = qop ? hash(a1, nonce, nc, cnonce, qop, a2) : hash(a1, nonce, a2);
  const needsCnonce = qop !== undefined || name.endsWith('-sess');
  return `Digest ${[
    userName(username),
    `realm=${quoted(realm)}`,
    `nonce=${quoted(nonce)}`,
    `uri=${quoted(uri)}`,
    `response="${response}"`,
    ...(algorithm === undefined ? [] : [`algorithm=${algorithm}`]),
    ...(needsCnonce ? [`cnonce="${cnonce}"`] : []),
    ...(qop ? [`qop=${qop}`, `nc=${nc}`] : []),
    ...(opaque === undefined ? [] : [`opaque=${quoted(opaque)}`]),
  ].join(', ')}`;
}
