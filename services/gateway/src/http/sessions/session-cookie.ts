/** The cookie of a session. No script reads it, and no other site's request carries it (RFC 6265bis). */
import { parseCookie, stringifySetCookie } from 'cookie';

const NAME = 'khumbu-session';

const nameOf = (isTls: boolean): string => (isTls ? `__Host-${NAME}` : NAME);

const setCookie = (isTls: boolean, value: string, maxAge: number, isSecure = isTls): string =>
  stringifySetCookie({
    name: nameOf(isTls),
    value,
    maxAge,
    path: '/',
    httpOnly: true,
    sameSite: 'strict',
    secure: isSecure,
  });

/** `isSecure`: browsers come over TLS, to a proxy if not to this gateway. */
export const cookieOf = (isTls: boolean, id: string, seconds: number, isSecure?: boolean): string =>
  setCookie(isTls, id, seconds, isSecure);
export const noCookie = (isTls: boolean): string => setCookie(isTls, '', 0);
export const sessionIdOf = (isTls: boolean, header: string | undefined): string | undefined =>
  parseCookie(header ?? '')[nameOf(isTls)];
