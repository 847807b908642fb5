/** What a browser does when somebody signs in: it follows redirects from site to site, and keeps cookies as their attributes say. */
import { Agent, fetch } from 'undici';
import type { Rest } from './rest-harness.js';

export interface Answer {
  readonly status: number;
  /** Where it stands in the end, with what is behind the #. */
  readonly url: string;
  readonly text: string;
  readonly setCookies: readonly string[];
}

interface Cookie {
  readonly value: string;
  readonly isStrict: boolean;
}

/** `gateway`: the origin under which the browser knows the REST API of the test. */
export function openBrowser(rest: () => Rest, gateway: string, ca: string) {
  const dispatcher = new Agent({ connect: { ca } });
  const jars = new Map<string, Map<string, Cookie>>();
  const jarOf = (origin: string): Map<string, Cookie> => {
    const jar = jars.get(origin) ?? new Map<string, Cookie>();
    jars.set(origin, jar);
    return jar;
  };
  const keep = (origin: string, lines: readonly string[]): void => {
    for (const line of lines) {
      const [pair = '', ...attributes] = line.split(/; */);
      const [name = ''] = pair.split('=', 1);
      const has = (text: string): boolean => attributes.some((one) => one.toLowerCase() === text);
      if (has('max-age=0') || attributes.some((one) => /^expires=Thu, 01 Jan 1970/i.test(one)))
        jarOf(origin).delete(name);
      else jarOf(origin).set(name, { value: pair.slice(name.length + 1), isStrict: has('samesite=strict') });
    }
  };
  /** A request that another site has led to bears no `SameSite=Strict` cookie. */
  const cookiesFor = (origin: string, isFromElsewhere: boolean): string =>
    [...jarOf(origin)]
      .filter(([, { isStrict }]) => !(isStrict && isFromElsewhere))
      .map(([name, { value }]) => `${name}=${value}`)
      .join('; ');

  const send = async (url: URL, form: Record<string, string> | undefined, isFromElsewhere: boolean) => {
    const cookie = cookiesFor(url.origin, isFromElsewhere);
    const headers = cookie === '' ? {} : { cookie };
    if (url.origin === gateway) {
      const path = `${url.pathname}${url.search}`;
      const { status, headers: got, body } = await rest().call('GET', path, { key: null, headers });
      const lines = [got['set-cookie'] ?? []].flat().map(String);
      return {
        status,
        to: got.location as string | undefined,
        lines,
        text: typeof body === 'string' ? body : JSON.stringify(body),
      };
    }
    const method = form ? { method: 'POST', body: new URLSearchParams(form) } : {};
    const response = await fetch(url, { ...method, headers, redirect: 'manual', dispatcher });
    const to = response.headers.get('location') ?? undefined;
    return { status: response.status, to, lines: response.headers.getSetCookie(), text: await response.text() };
  };

  /** Open an address and follow where it leads. `until`: stop before an address that begins so. */
  const go = async (address: string, form?: Record<string, string>, until?: string): Promise<Answer> => {
    let url = new URL(address, gateway);
    let body = form;
    let isFromElsewhere = false;
    const setCookies: string[] = [];
    for (let hops = 0; hops < 20; hops += 1) {
      const { status, to, lines, text } = await send(url, body, isFromElsewhere);
      keep(url.origin, lines);
      if (url.origin === gateway) setCookies.push(...lines);
      if (to === undefined) return { status, url: url.href, text, setCookies };
      const next = new URL(to, url);
      if (until !== undefined && next.href.startsWith(until)) return { status, url: next.href, text, setCookies };
      isFromElsewhere ||= next.origin !== url.origin;
      url = next;
      body = undefined;
    }
    throw new Error(`it leads on and on: ${url.href}`);
  };

  return {
    go,
    /** Sign in as one who types `account`; `choice`: `no` declines. */
    async signIn(account: string, { choice = 'in', place }: { choice?: string; place?: string } = {}): Promise<Answer> {
      const query = place === undefined ? '' : `?return=${encodeURIComponent(place)}`;
      const form = await go(`/sign-in/oidc${query}`);
      if (!form.text.includes('name="account"')) return form;
      const back = await go(form.url, { account, choice });
      return { ...back, setCookies: [...form.setCookies, ...back.setCookies] };
    },
    cookies: (): string => cookiesFor(gateway, false),
    close: (): Promise<void> => dispatcher.close(),
  };
}
