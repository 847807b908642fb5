/**
 * What a browser keeps while its person is at the provider: it binds the answer to the browser that asked, and needs nothing
 * stored here. `SameSite=Lax`: the provider sends the browser back by a link from another site.
 */
import { parseCookie, stringifySetCookie } from 'cookie';
import { type Static, Type } from 'typebox';
import { Value } from 'typebox/value';

const NAME = 'khumbu-sign-in';
/** Seconds in which somebody signs in at the provider. */
const LASTS_S = 600;
/** A place of the page, which is behind the #; it is put behind `/`, and so never leads to another host. */
export const PLACE = "^#/[A-Za-z0-9/?=&%:@+,;.!$'()*_~-]*$";
export const LONGEST_PLACE = 1024;

const secret = Type.String({ pattern: '^[\\w-]{43}$' });
const Pending = Type.Object({
  state: secret,
  nonce: secret,
  /** Of PKCE, RFC 7636. */
  verifier: secret,
  /** Where the person was. */
  place: Type.String({ pattern: PLACE, maxLength: LONGEST_PLACE }),
});
export type PendingSignIn = Readonly<Static<typeof Pending>>;

const nameOf = (isSecure: boolean): string => (isSecure ? `__Host-${NAME}` : NAME);

function setCookie(isSecure: boolean, value: string, maxAge: number): string {
  const attributes = { path: '/', httpOnly: true, sameSite: 'lax', secure: isSecure } as const;
  return stringifySetCookie({ name: nameOf(isSecure), value, maxAge, ...attributes });
}

/** `isSecure`: browsers come over TLS, to this gateway or to a proxy in front of it. */
export const pendingCookie = (isSecure: boolean, pending: PendingSignIn): string =>
  setCookie(isSecure, Buffer.from(JSON.stringify(pending)).toString('base64url'), LASTS_S);

export const noPendingCookie = (isSecure: boolean): string => setCookie(isSecure, '', 0);

/** `undefined`: it has none, or one that was not made here. */
export function pendingOf(isSecure: boolean, header: string | undefined): PendingSignIn | undefined {
  const text = parseCookie(header ?? '')[nameOf(isSecure)];
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    return Value.Check(Pending, value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
