/**
 * What the servers of one download know us by: cookies and logins, each kept for the origin (scheme, host, port) it came
 * from and never shown to another one, whatever its domain. Forgotten with the download.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { Credentials, HostLocation } from '@khumbu/shared/locations/location';
import type { CookieJar } from 'tough-cookie';
import { Login } from '../../http/login.js';

/** RFC 6265, 6.1 wants 50 of 4096 bytes to be kept; no portal of firmware needs as many. */
const MOST_COOKIES = 20;
const COOKIE_BYTES = 4096;

export class Session {
  readonly #jars = new Map<string, CookieJar>();
  readonly #logins = new Map<string, Login>();

  /** For requests to the origin of `location`. */
  login({ url }: Pick<HostLocation, 'url'>, credentials: Credentials | undefined): Login {
    const key = JSON.stringify([url.origin, credentials?.username, credentials?.password]);
    const login = this.#logins.get(key) ?? new Login(credentials);
    this.#logins.set(key, login);
    return login;
  }

  /** The headers that belong to its origin. */
  cookies({ url }: Pick<HostLocation, 'url'>): { readonly cookie?: string } {
    const cookie = this.#jars.get(url.origin)?.getCookieStringSync(url.href) ?? '';
    return cookie === '' ? {} : { cookie };
  }

  /** Keep the cookies of a response. What is no cookie, or is for another domain, is left out. */
  async learn(url: URL, headers: IncomingHttpHeaders): Promise<void> {
    const set = headers['set-cookie']?.filter((text) => text.length <= COOKIE_BYTES).slice(0, MOST_COOKIES);
    if (!set || set.length === 0) return;
    const jar = this.#jars.get(url.origin) ?? (await newJar());
    this.#jars.set(url.origin, jar);
    for (const text of set) jar.setCookieSync(text, url.href, { ignoreError: true });
  }
}

/** Loaded when it is needed: most origins set no cookies, and each thread would load it. */
async function newJar(): Promise<CookieJar> {
  const { CookieJar } = await import('tough-cookie');
  // A jar is of one origin: whether its domain is a public suffix does not matter.
  return new CookieJar(undefined, { rejectPublicSuffixes: false, allowSpecialUseDomain: true });
}
