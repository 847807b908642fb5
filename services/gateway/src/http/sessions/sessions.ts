/** Who a browser is: the caller whom its session, or a code from a link, stands for. */
import type { FastifyRequest } from 'fastify';
import type { Caller } from '../api-keys.js';
import { reading } from '../inventory.js';
import { Problem } from '../problems.js';
import { cookieOf, noCookie, sessionIdOf } from './session-cookie.js';
import { isTokenOf, type OidcIdentity, type Session, type SessionHolder, type SessionStore } from './session-store.js';

/** A code is sent as a key is, and only where a session begins. */
const CODE = /^Bearer +khumbu-code\.([\w-]+) *$/i;
/** Methods that change nothing, RFC 9110, 9.2.1. */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

export interface SessionDeps {
  readonly store: SessionStore;
  /** `undefined`: there is no such key any more. */
  readonly callerWithHash: (keySha256: string) => Caller | undefined;
  /** `undefined`: he is let in no more. */
  readonly callerOfIdentity: (identity: OidcIdentity) => Caller | undefined;
  readonly isTls: boolean;
  readonly sessionS: number;
}

export type Sessions = ReturnType<typeof createSessions>;

export function createSessions({ store, callerWithHash, callerOfIdentity, isTls, sessionS }: SessionDeps) {
  const find = reading(store.find);
  const idOf = ({ headers }: FastifyRequest): string | undefined => sessionIdOf(isTls, headers.cookie);
  const callerOf = (holder: SessionHolder): Caller | undefined =>
    'oidc' in holder ? callerOfIdentity(holder.oidc) : callerWithHash(holder.keySha256);

  return {
    /** The caller by the cookie. Rejects with `CSRF_TOKEN_MISSING` for a change that does not bear the session's token. */
    async callerOf(request: FastifyRequest): Promise<Caller | undefined> {
      const id = idOf(request);
      const session = id === undefined ? undefined : await find(id);
      const caller = session && callerOf(session);
      if (!session || !caller) return undefined;
      if (!SAFE.has(request.method) && !isTokenOf(session, request.headers['x-csrf-token']))
        throw new Problem('CSRF_TOKEN_MISSING');
      return { ...caller, session, expiresAt: session.expiresAt };
    },
    /** The caller by a code in place of a key; the code is used up. */
    async callerByCode(request: FastifyRequest): Promise<Caller | undefined> {
      const code = CODE.exec(request.headers.authorization ?? '')?.[1];
      const keySha256 = code === undefined ? undefined : await reading(store.useCode)(code);
      return keySha256 === undefined ? undefined : callerWithHash(keySha256);
    },
    /** `isSecure`: the browser came over TLS, though perhaps not to this gateway. */
    async begin(
      holder: SessionHolder,
      isSecure = false,
    ): Promise<{ readonly session: Session; readonly cookie: string }> {
      const { id, ...session } = await reading(store.begin)(holder);
      return { session, cookie: cookieOf(isTls, id, sessionS, isTls || isSecure) };
    },
    /** Returns the cookie that removes the one there is. */
    async end(request: FastifyRequest): Promise<string> {
      const id = idOf(request);
      if (id !== undefined) await reading(store.end)(id);
      return noCookie(isTls);
    },
    makeCode: reading(store.makeCode),
  };
}
