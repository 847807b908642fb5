import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { awaitUntil } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import { exportJWK, SignJWT } from 'jose';
import t from 'tap';
import { type Called, KEYS, openRest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

const IMAGE = 'https://user:secret@files.example/image.bin?token=secret#disable_connectors_during_install=true';
const UPDATES = '/v1/stations/cs-1/firmware-updates';

void t.test('only who may, may', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
  const paths = rest.app.swagger().paths as unknown as Record<string, Record<string, { description: string }>>;
  const rank = ['read', 'operate', 'admin'];
  let routes = 0;
  for (const [template, methods] of Object.entries(paths)) {
    for (const [method, { description }] of Object.entries(methods)) {
      const path = template
        .replace('{stationId}', 'cs-1')
        .replace('{operationId}', 'x')
        .replace('{sha256}', 'a'.repeat(64));
      routes += 1;
      // Of one address only so many failures are looked at.
      const from = `127.0.1.${routes}`;
      const ask = (key: string | null) => rest.call(method.toUpperCase() as 'GET', path, { key, from });
      const nobody = await ask(null);
      t.strictSame([nobody.status, nobody.body.code], [401, 'NOT_AUTHENTICATED'], `${method} ${template}`);
      t.equal(nobody.headers['www-authenticate'], 'Bearer');
      t.equal((await ask('wrong')).status, 401);
      const needed = rank.indexOf(/scope `(\w+)`/.exec(description)?.[1] ?? '');
      t.ok(needed >= 0, 'the document says which scope');
      for (const [index, scope] of rank.entries()) {
        if (index >= needed) continue;
        const short = await ask(KEYS[scope as 'read']);
        t.strictSame([short.status, short.body.code], [403, 'SCOPE_MISSING'], `${method} ${template} with ${scope}`);
      }
    }
  }
  t.equal((await rest.call('POST', UPDATES, { key: KEYS.operate, body: { location: IMAGE } })).status, 202);
  for (const open of ['/livez', '/readyz', '/metrics', '/openapi.json', '/asyncapi.json', '/docs/']) {
    t.equal((await rest.call('GET', open, { key: null })).status, 200, open);
  }
  t.match((await rest.call('GET', '/metrics', { key: null })).body, /khumbu_http_requests_total\{[^}]*status="401"/);
});

void t.test('tokens of the issuer are taken, others are not', async (t) => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const foreign = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  let up = true;
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'k1', alg: 'ES256' };
  const issuer = createServer((_request, response) => {
    response.writeHead(up ? 200 : 500, { 'content-type': 'application/json' }).end(JSON.stringify({ keys: [jwk] }));
  });
  await new Promise<void>((resolve) => void issuer.listen(0, '127.0.0.1', resolve));
  t.teardown(() => issuer.close());
  const tokens = {
    JWT_JWKS_URL: `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/jwks`,
    JWT_ISSUER: 'https://issuer.example',
    JWT_AUDIENCE: 'khumbu',
  };
  const token = (
    claims: object,
    options: { key?: typeof pair.privateKey; aud?: string; exp?: string; kid?: string } = {},
  ) =>
    new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: options.kid ?? 'k1' })
      .setIssuer(tokens.JWT_ISSUER)
      .setAudience(options.aud ?? 'khumbu')
      .setSubject('tool-1')
      .setExpirationTime(options.exp ?? '5m')
      .sign(options.key ?? pair.privateKey);
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, tokens, issuerTimes: { intervalMs: 20 } });
  const status = async (key: string, path = '/v1/stations'): Promise<number> =>
    (await rest.call('GET', path, { key })).status;

  up = false;
  const down = await rest.call('GET', '/v1/stations', { key: await token({ scope: 'read' }) });
  t.strictSame([down.status, down.body.code], [503, 'AUTHORITY_UNREACHABLE']);
  up = true;
  const good = await token({ scope: 'openid read' });
  await awaitUntil(async () => (await status(good)) === 200, 10_000, 'the keys of the issuer');
  t.equal(await status(await token({ scp: ['khumbu:admin'] })), 200);
  t.equal(await status(await token({ scope: 'openid' })), 403);
  t.equal(await status(await token({ scope: 'read' }, { aud: 'other' })), 401);
  t.equal(await status(await token({ scope: 'read' }, { exp: '-1m' })), 401);
  t.equal(await status(await token({ scope: 'read' }, { key: foreign.privateKey })), 401);
  const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{"sub":"x","scope":"admin"}').toString('base64url')}.x`;
  t.equal(await status(none), 401);
  const asked = await rest.call('POST', UPDATES, { key: await token({ scope: 'operate' }), body: { location: IMAGE } });
  t.equal(asked.body.askedBy, 'jwt:tool-1');
});

void t.test('callers are limited, named and written down', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, app: { rateLimitPerMinute: 3 } });
  const asked = await rest.call('POST', UPDATES, { body: { location: IMAGE }, headers: { 'x-request-id': 'mine-1' } });
  t.equal(asked.headers['x-request-id'], 'mine-1');
  await rest.call('POST', UPDATES, { body: { location: 'ftp://x.example/' } });
  const odd = await rest.call('GET', '/v1/stations', { headers: { 'x-request-id': 'a b\tc' } });
  t.match(odd.headers['x-request-id'], /^[0-9a-f-]{36}$/);
  const limited = await rest.call('GET', '/v1/stations');
  t.strictSame([limited.status, limited.body.code], [429, 'TOO_MANY_REQUESTS']);
  t.ok(Number(limited.headers['retry-after']) > 0);
  t.equal((await rest.call('GET', '/v1/stations', { key: KEYS.other })).status, 200, 'each for himself');
  const tries: Called[] = [];
  for (let n = 0; n < 130; n++) tries.push(await rest.call('GET', '/v1/stations', { key: 'guess' }));
  t.strictSame([tries[0]?.status, tries.at(-1)?.status], [401, 429], 'who tries keys is slowed down');
  t.ok(tries.filter(({ status }) => status === 429).every(({ headers }) => Number(headers['retry-after']) > 0));
  const audit = rest.lines.filter((line) => line.audit === true);
  t.match(audit, [
    { caller: 'admin', station: 'cs-1', request: 'update_firmware', outcome: 'accepted', requestId: 'mine-1' },
    { caller: 'admin', station: 'cs-1', outcome: 'refused', reason: 'LOCATION_SCHEME_NOT_ALLOWED' },
  ]);
  t.equal(audit[0]?.operationId, asked.body.operationId);
});
