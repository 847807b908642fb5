/** Sessions of browsers: begun with a key or with a code, known by a cookie, ended with the key. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { awaitUntil } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { FROZEN_REDIS_MS, KEYS, openRest, type Rest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

const open = (t: Test, more: Partial<Parameters<typeof openRest>[1]> = {}) =>
  openRest(t, { redis, stations: { 'cs-1': {} }, ...more });

/** What the browser sends from then on. */
async function signIn(rest: Rest, key: string = KEYS.operate) {
  const { status, headers, body } = await rest.call('POST', '/v1/session', { key });
  const cookie = String(headers['set-cookie']).split(';')[0] ?? '';
  return { status, cookie, setCookie: String(headers['set-cookie']), token: String(body.csrfToken), body };
}
const asBrowser = (rest: Rest, cookie: string, token?: string) => {
  const headers = { cookie, ...(token === undefined ? {} : { 'x-csrf-token': token }) };
  return (method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown) =>
    rest.call(method, path, { key: null, headers, ...(body === undefined ? {} : { body }) });
};

void t.test('a session may what its key may, and no script can read its cookie', async (t) => {
  const rest = await open(t);
  const { status, cookie, setCookie, token, body } = await signIn(rest);
  t.equal(status, 201);
  t.match(body, { caller: 'operate', scopes: ['operate'] });
  for (const attribute of ['HttpOnly', 'SameSite=Strict', 'Path=/', 'Max-Age=3600']) t.match(setCookie, attribute);
  const call = asBrowser(rest, cookie, token);
  t.match(await call('GET', '/v1/session'), { status: 200, body: { caller: 'operate', csrfToken: token } });
  t.equal((await call('GET', '/v1/stations')).status, 200);
  const order = await call('POST', '/v1/stations/cs-1/firmware-updates', { location: 'https://files.example/a.img' });
  t.match(order, { status: 202, body: { askedBy: 'operate' } });
  t.equal((await call('DELETE', '/v1/session')).status, 204);
  t.match(await call('GET', '/v1/stations'), { status: 401, body: { code: 'NOT_AUTHENTICATED' } });
});

void t.test('a change without the token of the session is refused, whatever the body', async (t) => {
  const rest = await open(t);
  const { cookie, token } = await signIn(rest);
  const other = await signIn(rest);
  for (const wrong of [undefined, '', 'x', other.token, `${token}x`]) {
    const call = asBrowser(rest, cookie, wrong);
    t.match(await call('POST', '/v1/stations/cs-1/reset', { type: 'Soft' }), {
      status: 403,
      body: { code: 'CSRF_TOKEN_MISSING' },
    });
    t.equal((await call('GET', '/v1/stations')).status, 200, 'what changes nothing needs none');
  }
});

void t.test('a link signs in once, as who made it', async (t) => {
  const rest = await open(t);
  const { status, body } = await rest.call('POST', '/v1/session/codes', { key: KEYS.read, body: { seconds: 60 } });
  t.equal(status, 201);
  const code = String(body.path).match(/^\/#sign-in=([\w-]{43})$/)?.[1];
  t.ok(code);
  const headers = { authorization: `Bearer khumbu-code.${code}` };
  t.equal((await rest.call('GET', '/v1/stations', { key: null, headers })).status, 401, 'it is no key');
  const used = await rest.call('POST', '/v1/session', { key: null, headers });
  t.match(used, { status: 201, body: { caller: 'read', scopes: ['read'] } });
  t.equal((await rest.call('POST', '/v1/session', { key: null, headers })).status, 401, 'it was used');
  const stored = await rest.redis.keys('*');
  t.notOk(stored.some((key) => key.includes(code ?? '')));
});

void t.test('what is no session', async (t) => {
  const rest = await open(t);
  for (const cookie of ['khumbu-session=', `khumbu-session=${'x'.repeat(43)}`, 'khumbu-session=%', 'other=1', ';;='])
    t.equal((await asBrowser(rest, cookie)('GET', '/v1/stations')).status, 401, cookie);
  t.match(await rest.call('GET', '/v1/session', { key: KEYS.read }), { status: 404, body: { code: 'NO_SESSION' } });
  const { cookie } = await signIn(rest);
  const both = { cookie, authorization: 'Bearer wrong' };
  t.equal((await rest.call('GET', '/v1/stations', { key: null, headers: both })).status, 401, 'a key goes first');
});

void t.test('a session ends with its key, and with its time', async (t) => {
  let ahead = 0;
  const rest = await open(t, { now: () => momentOf(Date.now() + ahead) });
  const first = asBrowser(rest, (await signIn(rest)).cookie);
  const second = asBrowser(rest, (await signIn(rest, KEYS.read)).cookie);
  const sha256 = createHash('sha256').update(KEYS.read).digest('hex');
  writeFileSync(rest.keysFile, JSON.stringify([{ name: 'read', sha256, scopes: ['read'] }]));
  await awaitUntil(async () => (await first('GET', '/v1/stations')).status === 401, 20_000, 'the end of the session');
  t.equal((await second('GET', '/v1/stations')).status, 200);
  ahead = 3_600_001;
  t.equal((await second('GET', '/v1/stations')).status, 401);
});

void t.test('without Redis nobody is let in by a cookie', async (t) => {
  const rest = await open(t, { redisMs: FROZEN_REDIS_MS });
  const { cookie } = await signIn(rest);
  redis.freeze();
  const answer = await asBrowser(rest, cookie)('GET', '/v1/session');
  redis.thaw();
  t.match(answer, { status: 503 });
});
