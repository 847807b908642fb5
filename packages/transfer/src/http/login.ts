/**
 * Logging in to one origin with the user and password of a location. Basic is sent at once, as OCPP wants it of a location
 * with credentials (N01.FR.29) and as servers that never ask expect it; a server that answers with a challenge gets what
 * that wants. Not for several requests at once.
 */
import type { Credentials } from '@khumbu/shared/locations/location';
import { type Challenge, readChallenges } from './challenges.js';
import { type DigestState, digestAuthorization, digestChallenge } from './digest-auth.js';

const basicAuthorization = ({ username, password }: Credentials): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

/** What a 401 or 407 wants, for people: the schemes, with their algorithm. No realm: it is the server's own text. */
export function wantedSchemes(fields: string | readonly string[] | undefined): string {
  const names = readChallenges(fields).map(({ scheme, parameters: { algorithm, qop } }: Challenge) => {
    const shown = scheme.replace(/[^a-z0-9-]/g, '').slice(0, 20);
    if (scheme !== 'digest') return shown.charAt(0).toUpperCase() + shown.slice(1);
    const more = [algorithm, qop === undefined ? undefined : `qop ${qop}`].filter((text) => text !== undefined);
    const details = more.join(', ').replace(/[^A-Za-z0-9 (),-]/g, '');
    return more.length === 0 ? 'Digest' : `Digest (${details.slice(0, 60)})`;
  });
  return names.length === 0 ? 'no scheme it names' : [...new Set(names)].join(' or ');
}

export class Login {
  readonly #credentials: Credentials | undefined;
  #digest: DigestState | undefined;

  constructor(credentials: Credentials | undefined) {
    this.#credentials = credentials;
  }

  /** The value of `Authorization` for the next request; `undefined`: none. `uri` as in its request line. */
  authorization(method: string, uri: string): string | undefined {
    const credentials = this.#credentials;
    if (!credentials) return undefined;
    if (!this.#digest) return basicAuthorization(credentials);
    const state = { ...this.#digest, count: this.#digest.count + 1 };
    this.#digest = state;
    return digestAuthorization(state, { method, uri, credentials });
  }

  /**
   * Whether it is worth asking again after a refusal (401) with these challenges: they want a digest that was not sent yet,
   * or its nonce was stale (RFC 7616, 3.3). At most once in a row for each of the two.
   */
  refused(fields: string | readonly string[] | undefined): boolean {
    if (!this.#credentials) return false;
    const challenge = digestChallenge(readChallenges(fields));
    if (!challenge) return false;
    const before = this.#digest;
    const isStale = challenge.parameters.stale?.toLowerCase() === 'true';
    if (before && !(isStale && challenge.parameters.nonce !== before.challenge.parameters.nonce)) return false;
    this.#digest = { challenge, count: 0 };
    return true;
  }
}
