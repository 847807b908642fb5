/** The cookie of a session. No script reads it, and no other site's request carries it (RFC 6265bis). */
import { parseCookie, stringifySetCookie } from 'cookie';

const NAME = 'khumbu-session';

const nameOf = (isTls: boolean): string => (isTls ? `__Host-${NAME}` : NAME);

const setCookie = (isTls: boolean, value: string, maxAge: number): string =>
  stringifySetCookie({
    name: nameOf(isTls),
    value,
    maxAge,
    path: '/',
    httpOnly: true,
    sameSite: 'strict',
    secure: isTls,
  });

export const cookieOf = (isTls: boolean, id: string, seconds: number): string => setCookie(isTls, id, seconds);
export const noCookie = (isTls: boolean): string => setCookie(isTls, '', 0);
export const sessionIdOf = (isTls: boolean, header: string | undefined): string | undefined =>
  parseCookie(header ?? '')[nameOf(isTls)];
