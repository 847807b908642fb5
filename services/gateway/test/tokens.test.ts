/** Tokens over REST, and the issuer's keys behind them, at a real HTTP server. */
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FileReports } from '@khumbu/shared/runtime/followed-file';
import { awaitUntil, within } from '@khumbu/test-support/events';
import { keepCollecting } from '@khumbu/test-support/garbage';
import { startRedis } from '@khumbu/test-support/redis';
import { exportJWK, SignJWT } from 'jose';
import t, { type Test as T } from 'tap';
import { openIssuerKeys, usableKeys } from '../src/http/issuer-keys.js';
import { openRest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

const ec = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength });
const jwkOf = async (key: KeyObject, kid?: string) => ({
  ...(await exportJWK(key)),
  ...(kid === undefined ? {} : { kid }),
});

/** An issuer whose answer can be changed; it counts who asks. */
async function openIssuer(t: T) {
  const state = { status: 200, body: '', asked: 0, by: '' };
  const server = createServer(({ headers }, response) => {
    state.asked += 1;
    state.by = String(headers['user-agent']);
    if (state.status === 0) response.destroy();
    else response.writeHead(state.status, { 'content-type': 'application/json' }).end(state.body);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const settings = {
    JWT_JWKS_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
    JWT_ISSUER: 'https://issuer.example',
    JWT_AUDIENCE: 'khumbu',
  };
  return {
    state,
    settings,
    publish: (...keys: object[]): void => {
      state.body = JSON.stringify({ keys });
    },
    token: (key: KeyObject, claims: Record<string, unknown> = {}, header: { alg?: string; kid?: string } = {}) =>
      new SignJWT({
        iss: settings.JWT_ISSUER,
        aud: 'khumbu',
        sub: 'tool-1',
        exp: Math.floor(Date.now() / 1000) + 300,
        scope: 'read',
        ...claims,
      })
        .setProtectedHeader({ alg: 'ES256', ...header })
        .sign(key),
  };
}

const LONG_MS = 3600_000;
const count = (statuses: readonly number[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const status of statuses) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};

/** What counts for the limit of one minute has to happen within one: anew where a busy machine took longer. */
async function inOneMinute<T>(ask: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    const began = performance.now();
    const asked = await ask();
    if (performance.now() - began < 55_000 || tries === 3) return asked;
  }
}

void t.test(
  'no token makes the gateway ask an issuer that cannot be reached more than once in an interval',
  async (t) => {
    const { issuer, rest, statuses, junk } = await inOneMinute(() => askUnreachable(t));
    t.same(count(statuses), { 503: 120 - junk, 429: 150 - 120 + junk }, 'each counts for the limit');
    t.equal(issuer.state.asked, 1);
    t.match(rest.files.states(), [
      { setting: 'API_KEYS_FILE' },
      { setting: 'STATIONS_FILE' },
      { setting: 'JWT_JWKS_URL', usable: false },
    ]);
  },
);

async function askUnreachable(t: T) {
  const issuer = await openIssuer(t);
  issuer.state.status = 0;
  const rest = await openRest(t, { redis, tokens: issuer.settings, issuerTimes: { intervalMs: LONG_MS } });
  const ask = async (key: string): Promise<number> => (await rest.call('GET', '/v1/stations', { key })).status;
  const pair = ec();
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1000) + 300;
  const right = { iss: issuer.settings.JWT_ISSUER, aud: 'khumbu', sub: 'x', exp };
  const junk = [
    `eyJ${randomBytes(9).toString('base64url')}.${randomBytes(9).toString('base64url')}.x`,
    `${part({ alg: 'none' })}.${part(right)}.x`,
    `${part({ alg: 'HS256' })}.${part(right)}.x`,
    `${part({})}.${part(right)}.x`,
    `${part({ alg: 'ES256' })}.${part('text')}.x`,
    `${part({ alg: 'ES256' })}.${part(null)}.x`,
    `${part({ alg: 'ES256' })}.${part({ ...right, exp: 'soon' })}.x`,
    await issuer.token(pair.privateKey, { iss: 'https://other.example' }),
    await issuer.token(pair.privateKey, { aud: ['other'] }),
    await issuer.token(pair.privateKey, { exp: exp - 1000 }),
  ];
  for (const token of junk) t.equal(await ask(token), 401, token);
  t.equal(issuer.state.asked, 0, 'what cannot be ours is refused without a key');

  const statuses: number[] = [];
  for (let i = 0; i < 150; i++) statuses.push(await ask(await issuer.token(pair.privateKey, {}, { kid: `k${i}` })));
  return { issuer, rest, statuses, junk: junk.length };
}

void t.test('keys that were read once go on when the issuer is gone, and unknown ones are refused', async (t) => {
  const { issuer, statuses, askWithGood } = await inOneMinute(() => askWithUnknownKeys(t));
  t.same(count(statuses), { 401: 120, 429: 30 });
  t.equal(issuer.state.asked, 1);
  t.equal(await askWithGood(), 200, 'who has a valid one is not slowed down');
});

async function askWithUnknownKeys(t: T) {
  const issuer = await openIssuer(t);
  const pair = ec();
  issuer.publish(await jwkOf(pair.publicKey, 'k1'));
  const rest = await openRest(t, { redis, tokens: issuer.settings, issuerTimes: { intervalMs: LONG_MS } });
  const ask = async (key: string): Promise<number> => (await rest.call('GET', '/v1/stations', { key })).status;
  const good = await issuer.token(pair.privateKey, {}, { kid: 'k1' });
  t.equal(await ask(good), 200);
  t.match(issuer.state.by, /^khumbu\/\d/);
  issuer.state.status = 500;
  const foreign = ec();
  const statuses: number[] = [];
  for (let i = 0; i < 150; i++) statuses.push(await ask(await issuer.token(foreign.privateKey, {}, { kid: `k${i}` })));
  return { issuer, statuses, askWithGood: () => ask(good) };
}

void t.test('an issuer that takes a question and never answers keeps no gateway from its start', async (t) => {
  t.teardown(keepCollecting());
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => void silent.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    silent.closeAllConnections();
    silent.close();
  });
  const unusable: string[] = [];
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}/jwks`;
  const reports: FileReports = { usable: () => undefined, unusable: (_setting, { message }) => unusable.push(message) };
  const keys = openIssuerKeys(url, 'test', reports, { timeoutMs: 300 });
  t.teardown(keys.close);
  await within(keys.begin(), 30_000, 'the end of the first look');
  t.match(unusable, [/^JWT_JWKS_URL cannot be read: nothing came of it in 300 ms$/]);
});

void t.test('the issuer’s keys change', async (t) => {
  const issuer = await openIssuer(t);
  const [first, second] = [ec(), ec()];
  issuer.publish(await jwkOf(first.publicKey, 'k1'));
  const issuerTimes = { intervalMs: 20, refreshMs: 50 };
  const rest = await openRest(t, { redis, tokens: issuer.settings, issuerTimes });
  const ask = async (key: string): Promise<number> => (await rest.call('GET', '/v1/stations', { key })).status;
  const becomes = (key: string, status: number, what: string): Promise<unknown> =>
    awaitUntil(async () => (await ask(key)) === status, 30_000, what);
  const old = await issuer.token(first.privateKey, {}, { kid: 'k1' });
  t.equal(await ask(old), 200);

  await t.test('to what cannot be used: the last good ones stay, and it is reported', async (t) => {
    const weak = await jwkOf(rsa(1024).publicKey, 'small');
    const bodies: [number, string, RegExp][] = [
      [200, JSON.stringify({ keys: [weak] }), /the key "small" is weak: RSA with 1024 bits/],
      [200, '{"keys":[', /not JSON/],
      [200, '<html>', /not JSON/],
      [200, '[]', /no set of keys/],
      [200, '{"keys":[]}', /no key for signatures/],
      [200, `{"keys":[{"kty":"EC","crv":"P-256","kid":"half","x":"AA"}]}`, /the key "half" cannot be read/],
      [200, ' '.repeat(2 * 1024 * 1024), /longer than/],
      [503, '', /status 503/],
      [302, '', /status 302/],
      [0, '', /JWT_JWKS_URL cannot be read/],
    ];
    for (const [status, body, reason] of bodies) {
      Object.assign(issuer.state, { status, body });
      await awaitUntil(
        () => reason.test(rest.files.summary()),
        30_000,
        () => `${reason}: ${rest.files.summary()}`,
      );
      t.equal(await ask(old), 200, String(reason));
    }
    issuer.state.status = 200;
    issuer.publish(await jwkOf(first.publicKey, 'k1'));
    await awaitUntil(
      () => rest.files.summary() === 'ok',
      30_000,
      () => rest.files.summary(),
    );
  });

  issuer.publish(await jwkOf(second.publicKey, 'k2'));
  await becomes(await issuer.token(second.privateKey, {}, { kid: 'k2' }), 200, 'the new key');
  await becomes(old, 401, 'the key that was withdrawn');
  issuer.publish(await jwkOf(first.publicKey), await jwkOf(second.publicKey));
  await becomes(await issuer.token(second.privateKey), 200, 'a token that names no key, of one of two');
  t.equal(await ask(await issuer.token(ec().privateKey)), 401);
});

void t.test('a token without a name for its caller is refused', async (t) => {
  const issuer = await openIssuer(t);
  const pair = ec();
  issuer.publish(await jwkOf(pair.publicKey));
  const rest = await openRest(t, { redis, tokens: issuer.settings });
  for (const sub of ['', ' ', '\t\n', 5, 0, true, null, {}, ['tool-1'], undefined]) {
    const { status, body } = await rest.call('GET', '/v1/stations', {
      key: await issuer.token(pair.privateKey, { sub }),
    });
    t.same([status, body.code], [401, 'NOT_AUTHENTICATED'], JSON.stringify(sub));
  }
  t.equal((await rest.call('GET', '/v1/stations', { key: await issuer.token(pair.privateKey) })).status, 200);
});

void t.test('which keys of a set are used, and which make it refused', async (t) => {
  const kidsOf = (...keys: object[]): unknown => usableKeys({ keys }).keys.map(({ kid }) => kid);
  const refusal = (...keys: object[]): string => {
    try {
      usableKeys({ keys });
      return 'none';
    } catch (error) {
      t.match(error, { code: 'JWKS_REFUSED' });
      return (error as Error).message;
    }
  };
  const good = await jwkOf(rsa(2048).publicKey, 'good');
  const ed = await jwkOf(generateKeyPairSync('ed25519').publicKey, 'ed');
  const x = await jwkOf(generateKeyPairSync('x25519').publicKey, 'x');
  const k1 = { kty: 'EC', crv: 'secp256k1', x: 'AA', y: 'AA', kid: 'k1' };
  const encryption = { ...(await jwkOf(rsa(1024).publicKey, 'encryption')), use: 'enc' };
  t.same(kidsOf(good, ed, x, k1, encryption, { kty: 'oct', k: 'AA', kid: 'secret' }, { kty: 'new' }), ['good', 'ed']);
  t.match(
    refusal(good, await jwkOf(rsa(1024).publicKey, 'small')),
    /^JWT_JWKS_URL: the key "small" is weak: RSA with 1024 bits, at least 2048/,
  );
  t.match(refusal(good, await jwkOf(rsa(2040).publicKey)), /key 2 is weak: RSA with 2040 bits/);
  t.match(refusal({ ...good, e: 'AQ' }), /weak: RSA with the exponent 1$/);
  t.match(refusal({ ...good, e: 'Aw' }), /weak: RSA with the exponent 3$/);
  t.match(refusal({ ...good, n: 5 }), /the key "good" cannot be read/);
  t.match(refusal(x, encryption), /no key for signatures/);
  const { publicKey, privateKey } = rsa(2048);
  t.match(refusal(good, await jwkOf(privateKey, 'private')), /the key "private" is private/);
  t.match(refusal({ ...(await jwkOf(ec().privateKey)), key_ops: ['sign'] }), /key 1 is private/);
  t.match(refusal({ ...good, kid: 5 }), /kid that is no text/);
  const other = await jwkOf(publicKey, 'other');
  for (const use of [{ alg: 'RSA-OAEP' }, { alg: 'HS256' }, { alg: 5 }, { key_ops: ['encrypt'] }, { key_ops: [] }]) {
    t.same(kidsOf(good, { ...other, ...use }), ['good'], JSON.stringify(use));
    t.match(refusal({ ...other, ...use }), /no key for signatures/, JSON.stringify(use));
  }
  t.same(kidsOf({ ...other, alg: 'PS256', key_ops: ['verify'], use: 'sig' }), ['other']);
  for (const value of [undefined, null, 5, [], {}, { keys: {} }, { keys: [null] }, { keys: ['x'] }])
    t.throws(() => usableKeys(value), { code: 'JWKS_REFUSED' }, JSON.stringify(value));
});
