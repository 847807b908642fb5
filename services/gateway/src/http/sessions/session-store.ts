/**
 * Sessions of browsers, in Redis: every gateway of the depot knows them, and they outlive restarts. A session stands for an
 * API key by the key's hash, so it ends with the key; or for somebody who has signed in at a provider, by who that is there.
 * Ids and codes are stored as hashes: who reads Redis cannot use them.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Keys } from '@khumbu/operations/records/keys';
import type { Redis } from 'ioredis';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';

const OidcIdentity = Type.Object({
  /** As in the settings. */
  issuer: Type.String(),
  /** Unique at the issuer, and never given to somebody else (OpenID Connect Core, 2). */
  subject: Type.String(),
  /** For people. */
  name: Type.String(),
  /** The rows of `OIDC_RIGHTS` that fitted, by their values. */
  rows: Type.Array(Type.String()),
});
const AnySession = {
  csrfToken: Type.String(),
  /** Milliseconds since 1970. */
  expiresAt: Type.Number(),
};
const SessionRecord = Type.Union([
  Type.Object({ keySha256: Type.String(), ...AnySession }),
  Type.Object({ oidc: OidcIdentity, ...AnySession }),
]);

/** Somebody who has signed in at a provider. */
export type OidcIdentity = Readonly<Static<typeof OidcIdentity>>;
/** What a session stands for. */
export type SessionHolder = { readonly keySha256: string } | { readonly oidc: OidcIdentity };

export type Session = SessionHolder & {
  /** Every request of this session that changes something bears it. */
  readonly csrfToken: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
};

export interface SessionSettings {
  readonly sessionS: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const SECRET = /^[\w-]{43}$/;
const newSecret = (): string => randomBytes(32).toString('base64url');
const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

export const isTokenOf = ({ csrfToken }: Session, token: unknown): boolean =>
  typeof token === 'string' &&
  token.length === csrfToken.length &&
  timingSafeEqual(Buffer.from(token), Buffer.from(csrfToken));

export type SessionStore = ReturnType<typeof createSessionStore>;

export interface SessionConnections {
  /** For what every request of a browser asks: no station waits for it. */
  readonly reading: Redis;
  readonly writing: Redis;
}

/** Both connections fail fast: all of them reject when Redis is not there. */
export function createSessionStore(
  { reading, writing }: SessionConnections,
  keys: Keys,
  { sessionS, now }: SessionSettings,
) {
  return {
    /** A new session; `id` is for its cookie alone. */
    begin: async (holder: SessionHolder): Promise<Session & { readonly id: string }> => {
      const id = newSecret();
      const session: Session = { ...holder, csrfToken: newSecret(), expiresAt: now() + sessionS * 1000 };
      await writing.set(keys.session(hashOf(id)), JSON.stringify(session), 'EX', sessionS);
      return { ...session, id };
    },
    /** `undefined`: there is none, or it has ended. */
    find: async (id: string): Promise<Session | undefined> => {
      if (!SECRET.test(id)) return undefined;
      const stored = await reading.get(keys.session(hashOf(id)));
      const session: unknown = stored === null ? undefined : JSON.parse(stored);
      return Value.Check(SessionRecord, session) && session.expiresAt > now() ? session : undefined;
    },
    end: async (id: string): Promise<void> => {
      await writing.del(keys.session(hashOf(id)));
    },
    /** A code that begins one session of a key, within so many seconds. */
    makeCode: async (keySha256: string, seconds: number): Promise<string> => {
      const code = newSecret();
      await writing.set(keys.signInCode(hashOf(code)), keySha256, 'EX', seconds);
      return code;
    },
    /** The hash of the key it was made with; it is used up. `undefined`: there is no such code, or it was used. */
    useCode: async (code: string): Promise<string | undefined> =>
      SECRET.test(code) ? ((await writing.getdel(keys.signInCode(hashOf(code)))) ?? undefined) : undefined,
  };
}
