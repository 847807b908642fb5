/** `/docs` and the headers of all answers, as a browser on another host meets them: over a real socket. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { startRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { openRest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());
const rest = await openRest(t, { redis, stations: { 'cs-1': {} } });
await rest.app.listen({ host: '127.0.0.1', port: 0 });
const { port } = rest.app.server.address() as { port: number };
const base = `http://127.0.0.1:${port}`;

/** `fetch` tidies paths up; this does not. */
async function raw(path: string, headers = ''): Promise<{ status: number; text: string }> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.write(`GET ${path} HTTP/1.1\r\nHost: depot\r\nConnection: close\r\n${headers}\r\n`);
  await once(socket, 'close');
  return { status: Number(text.split(' ')[1]), text };
}

const loud = () => rest.lines.filter(({ msg, err }) => msg === 'request failed' || err !== undefined);

void t.test('nothing but files of the documentation is found below it, however the path is written', async (t) => {
  const up = [
    '..',
    '%2e%2e',
    '.%2e',
    '%2E.',
    '..%2f..',
    '..%5c..',
    '%2e%2e%5c%2e%2e',
    '..\\..',
    '....',
    '%252e%252e',
    '.',
  ];
  const paths = [
    ...up.flatMap((dots) => [
      `/docs/static/${dots}/${dots}/x`,
      `/docs/static/${dots}/package.json`,
      `/docs/static/${dots}`,
      `/docs/static/theme/${dots}/${dots}/package.json`,
      `/docs/static//${dots}/package.json`,
    ]),
    '/docs/static/../../../../../../../../etc/passwd',
    '/docs/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd',
    '/docs/static/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd',
    '/docs/static/..%c0%af..%c0%afetc/passwd',
    '/docs/static/index.html%00.css',
    '/docs/static/%00',
    '/docs/static//etc/passwd',
    '/docs/static/%2fetc%2fpasswd',
    '/docs/static/C:%5cwindows%5cwin.ini',
    '/docs/static/file:///etc/passwd',
    '/docs/static/.git/config',
    '/docs/static/nothing.js',
    '/docs/static/fonts/',
    '/docs/../docs/static/../x',
    '/docs/x',
    `/docs/static/${'../'.repeat(300)}x`,
    `/docs/static/${'a'.repeat(5000)}`,
  ];
  for (const path of paths) {
    const { status, text } = await raw(path);
    // 400: not even an address.
    t.ok(status === 404 || (status === 400 && /%c0|%00/.test(path)), `${status} ${path.slice(0, 80)}`);
    t.match(text, 'application/problem+json', path.slice(0, 80));
    t.notMatch(text, /root:|"name":|node_modules/, path.slice(0, 80));
  }
  t.strictSame(loud(), [], 'nothing failed');
});

void t.test('files are asked for in ways that do not fit, and that is told', async (t) => {
  const file = '/docs/static/swagger-ui.css';
  t.equal((await raw(file, 'Range: bytes=99999999-\r\n')).status, 416);
  t.equal((await raw(file, 'If-Match: "another"\r\n')).status, 412);
  t.equal((await raw(file, 'If-Unmodified-Since: Mon, 01 Jan 1990 00:00:00 GMT\r\n')).status, 412);
  t.equal((await raw(file, 'Range: bytes=0-9\r\n')).status, 206);
  t.strictSame(loud(), [], 'nothing failed');
});

void t.test('the documentation loads over plain HTTP from another host, and nothing from elsewhere', async (t) => {
  const page = await fetch(`${base}/docs/`);
  const policy = page.headers.get('content-security-policy') ?? '';
  t.notMatch(policy, /upgrade-insecure-requests|https:|swagger\.io/);
  t.match(policy, "default-src 'self'");
  t.match(policy, 'frame-ancestors');
  t.notOk(page.headers.has('strict-transport-security'), 'there is no HTTPS to insist on');
  const html = await page.text();
  const assets = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, url]) => new URL(url ?? '', `${base}/docs/`));
  t.ok(assets.length >= 5, `${assets.length} files`);
  for (const asset of assets) {
    t.equal(asset.origin, base, asset.href);
    const response = await fetch(asset);
    t.equal(response.status, 200, asset.href);
    t.equal(response.headers.get('x-content-type-options'), 'nosniff', asset.href);
    await response.arrayBuffer();
  }
  t.notMatch(html, /<script>[^<]/, 'no inline script that the policy would stop');
  const settings = await (await fetch(`${base}/docs/static/swagger-initializer.js`)).text();
  t.match(settings, '"validatorUrl":"none"');
  for (const path of ['/docs/json', '/openapi.json']) {
    const document = await (await fetch(base + path)).json();
    t.equal((document as { openapi: string }).openapi, '3.1.0', path);
  }
  t.match(await (await fetch(`${base}/docs/yaml`)).text(), 'openapi: 3.1.0');
});

void t.test('no answer is guessed at, framed, or kept', async (t) => {
  const answers: [path: string, init?: RequestInit][] = [
    ['/v1/stations'],
    ['/v1/nothing'],
    ['/livez'],
    ['/readyz'],
    ['/metrics'],
    ['/openapi.json'],
    ['/asyncapi.json'],
    ['/%zz'],
    [`/v1/stations/${'a'.repeat(3000)}`],
    ['/v1/stations', { headers: { authorization: 'Bearer key-admin' } }],
    ['/v1/events', { headers: { authorization: 'Bearer key-admin' } }],
    ['/v1/stations/cs-1/reset', { method: 'POST', headers: { authorization: 'Bearer key-admin' }, body: 'x' }],
  ];
  for (const [path, init] of answers) {
    const response = await fetch(base + path, init);
    t.equal(response.headers.get('x-content-type-options'), 'nosniff', path);
    t.match(response.headers.get('cache-control'), 'no-store', path);
    t.notOk(response.headers.has('x-powered-by'), path);
    if (response.status < 400 && path !== '/livez') {
      t.match(response.headers.get('content-security-policy'), "frame-ancestors 'none'", path);
      t.equal(response.headers.get('x-frame-options'), 'DENY', path);
      t.equal(response.headers.get('referrer-policy'), 'no-referrer', path);
    }
    await response.body?.cancel();
  }
});
