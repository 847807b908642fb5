/** Signing in at a real OpenID Connect provider with an authority of its own, as browsers do it. */

import { loadConfig } from '@khumbu/shared/runtime/config';
import { makeAuthority } from '@khumbu/test-support/certificates';
import { awaitUntil } from '@khumbu/test-support/events';
import { startOidcProvider } from '@khumbu/test-support/oidc-provider';
import { startRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { GatewaySettings } from '../src/config.js';
import { pendingCookie } from '../src/http/sign-in/pending-cookie.js';
import { signInRules } from '../src/http/sign-in/settings.js';
import { FROZEN_REDIS_MS, KEYS, openRest, type Rest, type RestOptions } from './rest-harness.js';
import { openBrowser } from './sign-in-browser.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());
const authority = await makeAuthority(t.testdir({}));
const { certificatePem: cert, keyPem: key } = await authority.issue({
  name: 'localhost',
  subjectAltName: 'DNS:localhost',
});
const GATEWAY = 'https://depot.example';
const CALLBACK = `${GATEWAY}/sign-in/oidc/callback`;
const SECRET = 'a secret with : and % in it';
const provider = await startOidcProvider({
  cert,
  key,
  host: 'localhost',
  client: { client_id: 'khumbu', client_secret: SECRET, redirect_uris: [CALLBACK] },
  accounts: {
    ada: { preferred_username: 'ada.l', groups: ['staff', 'depot=north,admins'] },
    bob: { preferred_username: 'bob', groups: ['staff'] },
    eve: { preferred_username: 'eve', groups: ['visitors'] },
    nameless: { preferred_username: ' ', groups: ['staff'] },
  },
});
t.teardown(() => provider.stop());

const SETTINGS = {
  OIDC_ISSUER: provider.issuer,
  OIDC_CLIENT_ID: 'khumbu',
  OIDC_CLIENT_SECRET: SECRET,
  OIDC_REDIRECT_URI: CALLBACK,
  OIDC_PROVIDER_NAME: 'Depot accounts',
  OIDC_REQUESTED_SCOPES: 'profile,groups',
  OIDC_NAME_CLAIM: 'preferred_username',
  OIDC_RIGHTS: 'staff=operate,depot=north%2Cadmins=admin',
};
const signInWith = (settings: Record<string, string> = {}, ca: string | undefined = authority.certificatePem) => {
  const rules = signInRules(loadConfig(GatewaySettings, { ...SETTINGS, ...settings }));
  if (!rules) throw new Error('nobody signs in');
  return { rules, authorities: () => ca, userAgent: 'khumbu/test', times: { intervalMs: 50 }, patienceMs: 60_000 };
};
const open = (t: Test, more: Partial<RestOptions> = {}): Promise<Rest> =>
  openRest(t, { redis, stations: { 'cs-1': {} }, signIn: signInWith(), ...more });
const browserOf = (t: Test, rest: () => Rest) => {
  const browser = openBrowser(rest, GATEWAY, authority.certificatePem);
  t.teardown(() => browser.close());
  return browser;
};
const session = (rest: Rest, cookie: string) => rest.call('GET', '/v1/session', { key: null, headers: { cookie } });
const told = (rest: Rest, failure: string) => rest.lines.find((line) => line.failure === failure);

/** For all that changes nothing of it. */
const rest = await open(t);

void t.test('somebody signs in, does what his groups may, and signs out', async (t) => {
  const browser = browserOf(t, () => rest);
  t.match(await rest.call('GET', '/sign-in/methods', { key: null }), {
    status: 200,
    body: { provider: { name: 'Depot accounts', path: '/sign-in/oidc' } },
  });
  const { url, setCookies } = await browser.signIn('ada', { place: '#/stations/cs%2D1' });
  t.equal(url, `${GATEWAY}/#/stations/cs%2D1`, 'back where he was');
  const [pending = '', , mine = ''] = setCookies;
  t.match(pending, /^__Host-khumbu-sign-in=.*; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
  t.match(mine, /^khumbu-session=.*; Max-Age=3600; Path=\/; HttpOnly; Secure; SameSite=Strict$/);
  t.notMatch(browser.cookies(), 'sign-in', 'what was remembered is gone');
  const { body } = await session(rest, browser.cookies());
  t.match(body, { caller: 'oidc:ada.l', scopes: ['operate', 'admin'], signedInWith: 'oidc' });
  const headers = { cookie: browser.cookies(), 'x-csrf-token': String(body.csrfToken) };
  const reset = { key: null, body: { type: 'Soft' } };
  t.match(await rest.call('POST', '/v1/stations/cs-1/reset', { ...reset, headers: { cookie: browser.cookies() } }), {
    status: 403,
    body: { code: 'CSRF_TOKEN_MISSING' },
  });
  t.match(await rest.call('POST', '/v1/stations/cs-1/reset', { ...reset, headers }), {
    status: 202,
    body: { askedBy: 'oidc:ada.l' },
  });
  t.match(await rest.call('POST', '/v1/session/codes', { key: null, headers, body: {} }), {
    status: 409,
    body: { code: 'SESSION_NEEDS_KEY' },
  });
  t.match(
    rest.lines.find((line) => line.request === 'sign_in'),
    { audit: true, caller: 'oidc:ada.l', outcome: 'done', subject: 'ada', scopes: 'operate admin' },
  );
  t.match((await rest.call('GET', '/sign-in/methods', { key: null })).body.provider, {
    signOutPath: '/sign-in/oidc/sign-out',
  });
  const out = await browser.go('/sign-in/oidc/sign-out');
  t.match(out.url, `${provider.issuer}/session/end?client_id=khumbu`);
  t.match(out.text, '<form', 'the provider asks');
  t.equal((await rest.call('DELETE', '/v1/session', { key: null, headers })).status, 204);
  t.equal((await session(rest, browser.cookies())).status, 401);
  const said = JSON.stringify(rest.lines);
  for (const secret of [SECRET, mine.split(/[=;]/)[1] ?? '', 'eyJ'])
    t.notMatch(said, secret, 'nothing of it is in the log');
});

void t.test('a session ends with its row', async (t) => {
  const browser = browserOf(t, () => rest);
  await browser.signIn('ada');
  const { prefix } = rest;
  const scopesWith = async (settings: Record<string, string>): Promise<unknown> => {
    const { status, body } = await session(await open(t, { prefix, signIn: signInWith(settings) }), browser.cookies());
    return status === 200 ? body.scopes : status;
  };
  t.same(await scopesWith({ OIDC_RIGHTS: 'staff=read' }), ['read'], 'by the table there is now');
  t.same(await scopesWith({ OIDC_RIGHTS: 'others=admin' }), 401);
  const keysAlone = await openRest(t, { redis, prefix });
  t.equal((await session(keysAlone, browser.cookies())).status, 401, 'nobody signs in any more');
  t.same((await keysAlone.call('GET', '/sign-in/methods', { key: null })).body, {});
});

void t.test('why somebody is not let in', async (t) => {
  const failed = async (account: string, choice?: string): Promise<string> => {
    const { url, setCookies } = await browserOf(t, () => rest).signIn(account, choice === undefined ? {} : { choice });
    t.notMatch(setCookies.join(), 'khumbu-session=', 'no session is begun');
    const [, failure = url, requestId] = /\/#sign-in-failed=(\w+)&request=([\w-]+)$/.exec(url) ?? [];
    t.equal(told(rest, failure)?.requestId, requestId, 'the log has more under this id');
    return failure;
  };
  t.equal(await failed('eve'), 'NO_RIGHTS');
  t.match(told(rest, 'NO_RIGHTS')?.reason, /no row of OIDC_RIGHTS fits eve: groups is visitors/);
  t.equal(await failed('ada', 'no'), 'DENIED');
  t.match(told(rest, 'DENIED')?.reason, /access_denied: The person declined\./);
  t.equal(await failed('nameless'), 'NOT_SET_UP');
  t.match(told(rest, 'NOT_SET_UP')?.reason, /the claim preferred_username of nameless/);
});

void t.test('the provider does not take our secret', async (t) => {
  const rest = await open(t, { signIn: signInWith({ OIDC_CLIENT_SECRET: 'wrong' }) });
  t.match((await browserOf(t, () => rest).signIn('ada')).url, '#sign-in-failed=NOT_SET_UP');
  t.match(told(rest, 'NOT_SET_UP')?.reason, /does not take what it was sent .* client id and secret/);
});

void t.test('any gateway of the depot takes the answer', async (t) => {
  const second = await open(t, { prefix: rest.prefix });
  let reached = rest;
  const browser = browserOf(t, () => reached);
  const form = await browser.go('/sign-in/oidc');
  reached = second;
  t.equal((await browser.go(form.url, { account: 'bob', choice: 'in' })).url, `${GATEWAY}/#/`);
  for (const one of [rest, second]) t.match((await session(one, browser.cookies())).body, { caller: 'oidc:bob' });
});

void t.test('the answer is for the browser that asked, and once', async (t) => {
  const [mine, other] = [browserOf(t, () => rest), browserOf(t, () => rest)];
  const form = await mine.go('/sign-in/oidc');
  const { url } = await mine.go(form.url, { account: 'ada', choice: 'in' }, CALLBACK);
  t.match(url, /\?code=.*&state=/);
  t.match((await other.go(url)).url, '#sign-in-failed=SIGN_IN_LOST', 'a browser that has begun none');
  await other.go('/sign-in/oidc');
  t.match((await other.go(url)).url, '#sign-in-failed=SIGN_IN_LOST', 'one that has begun another');
  t.equal((await mine.go(url)).url, `${GATEWAY}/#/`);
  t.match((await mine.go(url)).url, '#sign-in-failed=SIGN_IN_LOST', 'it was used');
  t.match((await session(rest, mine.cookies())).body, { caller: 'oidc:ada.l' }, 'which takes nothing away');
});

void t.test('it leads back to the page, and nowhere else', async (t) => {
  const elsewhere = [
    'https://evil.example',
    '//evil.example',
    '/\\evil.example',
    '/v1/stations',
    '',
    '#',
    '#//evil.example"',
    '#/a b',
    '#/\nlocation:x',
    '#sign-in=code',
    `#/${'a'.repeat(1100)}`,
  ];
  for (const place of elsewhere) {
    const { status, body, headers } = await rest.call('GET', `/sign-in/oidc?return=${encodeURIComponent(place)}`, {
      key: null,
    });
    t.match(
      { status, code: body.code, to: headers.location },
      { status: 400, code: 'PARAMETER_INVALID', to: undefined },
      place,
    );
  }
  t.equal((await rest.call('GET', '/sign-in/oidc?return=%23/&return=%23/', { key: null })).status, 400);
});

void t.test('the provider signs with a new key', async (t) => {
  t.equal((await browserOf(t, () => rest).signIn('ada')).url, `${GATEWAY}/#/`);
  provider.rotateKeys();
  t.equal((await browserOf(t, () => rest).signIn('ada')).url, `${GATEWAY}/#/`, 'at once');
});

void t.test('while the provider is gone a key signs in, and it is said where people look', async (t) => {
  const begun = browserOf(t, () => rest);
  const form = await begun.go('/sign-in/oidc');
  const { url } = await begun.go(form.url, { account: 'ada', choice: 'in' }, CALLBACK);
  await provider.stop();
  const leadsTo = async (): Promise<string> =>
    String((await rest.call('GET', '/sign-in/oidc', { key: null })).headers.location);
  const isGone = async (): Promise<boolean> => (await leadsTo()).startsWith('/#sign-in-failed=');
  await awaitUntil(isGone, 30_000, 'the gateway to notice');
  t.match((await browserOf(t, () => rest).signIn('ada')).url, '#sign-in-failed=PROVIDER_UNREACHABLE');
  t.match((await begun.go(url)).url, '#sign-in-failed=PROVIDER_UNREACHABLE', 'between going and coming back');
  t.match(rest.files.summary(), /OIDC_ISSUER cannot be read: localhost:\d+\/.well-known\/openid-configuration: ./);
  t.equal((await rest.call('POST', '/v1/session', { key: KEYS.read })).status, 201);
  await provider.startAgain();
  await awaitUntil(async () => !(await isGone()), 30_000, 'the gateway to notice that it is back');
  t.equal((await browserOf(t, () => rest).signIn('ada')).url, `${GATEWAY}/#/`);
  t.equal(rest.files.summary(), 'ok');
});

void t.test('a provider whose certificate nobody here has vouched for is not asked anything', async (t) => {
  let ca = (await makeAuthority(t.testdir())).certificatePem;
  const rest = await open(t, { signIn: { ...signInWith(), authorities: () => ca } });
  t.match((await browserOf(t, () => rest).signIn('ada')).url, '#sign-in-failed=PROVIDER_UNREACHABLE');
  t.match(rest.files.summary(), /: unable to verify the first certificate; OIDC_CA_FILE names the authority/);
  ca = authority.certificatePem;
  const isAsked = async (): Promise<boolean> =>
    !String((await rest.call('GET', '/sign-in/oidc', { key: null })).headers.location).startsWith('/#sign-in-failed=');
  await awaitUntil(isAsked, 30_000, 'the file that was renewed to be used');
});

void t.test('without Redis nobody gets a session, and is told so', async (t) => {
  const rest = await open(t, { redisMs: FROZEN_REDIS_MS });
  const browser = browserOf(t, () => rest);
  const form = await browser.go('/sign-in/oidc');
  const { url } = await browser.go(form.url, { account: 'ada', choice: 'in' }, CALLBACK);
  redis.freeze();
  t.teardown(() => redis.thaw());
  const { url: back, setCookies } = await browser.go(url);
  redis.thaw();
  t.match(back, '#sign-in-failed=NOT_STORED');
  t.notMatch(setCookies.join(), 'khumbu-session=');
});

const CALLBACK_ROUTE = '/sign-in/oidc/callback';

void t.test('what nobody here has begun keeps nobody out who has the same address', async (t) => {
  const lost = /^\/#sign-in-failed=SIGN_IN_LOST&/;
  const before = rest.lines.length;
  for (let i = 0; i < 125; i += 1) {
    const { status, headers } = await rest.call('GET', `${CALLBACK_ROUTE}?code=x&state=${i}`, { key: null });
    t.match({ status, to: headers.location }, { status: 303, to: lost });
  }
  const told = rest.lines.slice(before).filter((line) => line.failure === 'SIGN_IN_LOST');
  t.ok(told.length < 125, 'nor does it fill the log');
  t.equal((await browserOf(t, () => rest).signIn('ada')).url, `${GATEWAY}/#/`);
});

void t.test('who comes back again and again from one address is slowed down', async (t) => {
  const state = 's'.repeat(43);
  const pending = { state, nonce: 'n'.repeat(43), verifier: 'v'.repeat(43), place: '#/' };
  const [cookie = ''] = pendingCookie(true, pending).split(';');
  const query = String(new URLSearchParams({ error: 'access_denied', state, iss: provider.issuer }));
  const comeBack = async (from: string): Promise<string> => {
    const sent = { key: null, headers: { cookie }, from };
    const { status, headers } = await rest.call('GET', `${CALLBACK_ROUTE}?${query}`, sent);
    return `${status} ${/^\/#sign-in-failed=(\w+)&/.exec(String(headers.location))?.[1]}`;
  };
  const comeOften = async (from: string): Promise<{ all: string[]; ms: number }> => {
    const began = performance.now();
    const all: string[] = [];
    for (let i = 0; i < 125; i += 1) all.push(await comeBack(from));
    return { all, ms: performance.now() - began };
  };
  // They are counted by the minute: anew, from another address, where a busy machine took longer.
  let { all, ms } = await comeOften('127.0.9.10');
  for (let host = 11; host <= 12 && ms > 55_000; host += 1) ({ all, ms } = await comeOften(`127.0.9.${host}`));
  t.same([all[0], all[119], all[120], all.at(-1)], ['303 DENIED', '303 DENIED', '303 TOO_MANY', '303 TOO_MANY']);
  t.equal(await comeBack('127.0.9.8'), '303 DENIED', 'others are not');
});
