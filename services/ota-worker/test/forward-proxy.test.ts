import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { fetchImage } from '@khumbu/ota-worker/fetching/fetch-image';
import type { FetchOptions } from '@khumbu/ota-worker/fetching/fetch-options';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { selfSigned } from '@khumbu/test-support/certificates';
import { awaitUntil } from '@khumbu/test-support/events';
import { startOrigin } from '@khumbu/test-support/origin';
import { hasTinyproxy, startTinyproxy } from '@khumbu/test-support/tinyproxy';
import { PROXY_SETTINGS, proxyRules } from '@khumbu/transfer/http/forward-proxy';
import t, { type Test } from 'tap';
import { Type } from 'typebox';

const IMAGE = randomBytes(3_000_000);
const rulesOf = (env: Record<string, string>) => proxyRules(loadConfig(Type.Object(PROXY_SETTINGS), env));

type Ended = { bytes?: Buffer; code?: string; reason?: string; message?: string; stack?: string };
async function get(
  t: Test,
  location: string,
  env: Record<string, string>,
  more: Partial<FetchOptions> = {},
): Promise<Ended> {
  const policy = createLocationPolicy({ allowedSchemes: ['http', 'https'], allowedHosts: [], allowLoopback: true });
  const base = { key: 'k', maxBytes: 1e8, stallMs: 20_000, signal: new AbortController().signal, policy };
  try {
    const options = { ...base, spoolDir: more.spoolDir ?? t.testdir({}), location, proxy: rulesOf(env), ...more };
    const result = await fetchImage(options);
    return result.kind === 'fetched' ? { bytes: readFileSync(result.path) } : {};
  } catch (error) {
    return error as Ended;
  }
}

async function listening(t: Test, server: ReturnType<typeof createServer>): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

/** A proxy that can do what tinyproxy cannot: TLS, Digest, names of its own. It says what it was asked. */
async function ownProxy(
  t: Test,
  options: {
    readonly names?: Readonly<Record<string, number>>;
    readonly tls?: { readonly keyPem: string; readonly certificatePem: string };
    readonly refuse?: (request: IncomingMessage) => [number, Record<string, string>] | undefined;
  },
) {
  const asked: string[] = [];
  const heads: IncomingMessage['headers'][] = [];
  const portOf = (host: string, port: string): number => options.names?.[host] ?? Number(port);
  const note = (request: IncomingMessage): [number, Record<string, string>] | undefined => {
    asked.push(`${request.method} ${request.url}`);
    heads.push(request.headers);
    return options.refuse?.(request);
  };
  const plain = (request: IncomingMessage, response: ServerResponse): void => {
    const refused = note(request);
    if (refused) return void response.writeHead(...refused).end();
    const url = new URL(request.url ?? '');
    const port = portOf(url.hostname, url.port);
    const onward = httpRequest(
      { host: '127.0.0.1', port, path: url.pathname, method: request.method, headers: request.headers },
      (answer) => {
        response.writeHead(answer.statusCode ?? 0, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on('error', () => response.destroy());
    request.pipe(onward);
  };
  const { tls } = options;
  const server = tls ? createTlsServer({ key: tls.keyPem, cert: tls.certificatePem }, plain) : createServer(plain);
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    socket.on('error', () => undefined);
    const refused = note(request);
    if (refused) {
      const [status, headers] = refused;
      const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
      return void socket.end(`HTTP/1.1 ${status} No\r\n${fields.join('')}Content-Length: 0\r\n\r\n`);
    }
    const [host = '', port = ''] = (request.url ?? '').split(':');
    const onward = connect(portOf(host, port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.pipe(socket);
      socket.pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    socket.on('close', () => onward.destroy());
    t.teardown(() => onward.destroy());
  });
  const port = await listening(t, server as ReturnType<typeof createServer>);
  return { asked, heads, url: `${tls ? 'https' : 'http'}://127.0.0.1:${port}` };
}

const skipped = hasTinyproxy() ? {} : { skip: 'tinyproxy is not installed' };

void t.test('through a real proxy: http, https, cut and gone on, NO_PROXY', skipped, async (t) => {
  const proxy = await startTinyproxy({ dir: join(t.testdir({}), 'proxy') });
  t.teardown(() => proxy.stop());
  for (const tls of [false, true]) {
    const dir = t.testdir({ spool: {}, tls: {} });
    const origin = await startOrigin(tls ? { tlsDir: join(dir, 'tls') } : {});
    t.teardown(() => origin.close());
    const url = origin.serve('/fw.bin', IMAGE, [{ cutAfterBytes: 1_000_000 }, {}]);
    const more = { spoolDir: join(dir, 'spool'), ...(origin.caPem === undefined ? {} : { ca: origin.caPem }) };
    const before = proxy.asked().length;
    const env = { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url };
    t.match(await get(t, url, env, more), { reason: 'cut' });
    const { bytes, message } = await get(t, url, env, more);
    t.ok(bytes?.equals(IMAGE), message ?? 'the image');
    t.match(origin.requests.items[1]?.headers.range, /^bytes=/);
    const line = tls ? `CONNECT 127.0.0.1:${origin.port} HTTP/1.1` : `GET ${url} HTTP/1.1`;
    await awaitUntil(() => proxy.asked().length >= before + 2, 5000, 'what the proxy was asked');
    t.same(proxy.asked().slice(before), [line, line]);
    t.equal(origin.requests.items[0]?.headers.host, `127.0.0.1:${origin.port}`);

    origin.serve('/two.bin', IMAGE);
    const direct = { ...env, NO_PROXY: '127.0.0.0/8' };
    t.ok((await get(t, `${origin.url}/two.bin`, direct, more)).bytes?.equals(IMAGE));
    t.equal(proxy.asked().length, before + 2, 'left out');
  }
});

void t.test('a real proxy that wants a password, or refuses, or is not there', skipped, async (t) => {
  const dir = t.testdir({ tls: {} });
  const proxy = await startTinyproxy({ dir: join(dir, 'proxy'), user: 'depot', password: 'hush' });
  const narrow = await startTinyproxy({ dir: join(dir, 'narrow'), config: ['ConnectPort 1'] });
  t.teardown(() => Promise.all([proxy.stop(), narrow.stop()]));
  const plain = await startOrigin();
  const secure = await startOrigin({ tlsDir: join(dir, 'tls') });
  t.teardown(() => Promise.all([plain.close(), secure.close()]));
  for (const origin of [plain, secure]) {
    const url = origin.serve('/fw.bin', IMAGE);
    const ca = origin.caPem === undefined ? {} : { ca: origin.caPem };
    const ask = (LOCATION_PROXY: string) => get(t, url, { LOCATION_PROXY }, ca);
    t.ok((await ask(proxy.url)).bytes?.equals(IMAGE));
    const without = await ask(proxy.url.replace('depot:hush@', ''));
    t.match(without, { code: 'FETCH_PERMANENT', reason: 'proxy_407', message: /it wants Basic/ });
    // A wrong password is answered by 401 there, which of a plain request nobody can tell from the server's own.
    const wrong = await ask(proxy.url.replace('hush', 'hush2'));
    t.match(wrong, { code: 'FETCH_PERMANENT', reason: origin === plain ? 'http_401' : 'proxy_401' });
    for (const error of [without, wrong])
      t.notMatch(`${error.message} ${error.stack} ${JSON.stringify(error)}`, /hush|ZGVwb3Q6/);
    t.match(await ask('http://depot:hush@127.0.0.1:1'), { code: 'FETCH_RETRYABLE', reason: 'proxy_unreachable' });
  }
  const refused = await get(
    t,
    secure.serve('/fw.bin', IMAGE),
    { LOCATION_PROXY: narrow.url },
    { ca: secure.caPem ?? '' },
  );
  t.match(refused, { code: 'FETCH_PERMANENT', reason: 'proxy_403' });
  t.same(
    [plain, secure].flatMap(({ requests }) => requests.items.map(({ headers }) => headers['proxy-authorization'])),
    [undefined, undefined],
    'the password of the proxy is for the proxy',
  );
  secure.serve('/gone', IMAGE);
  await secure.close();
  const gone = await get(t, `${secure.url}/gone`, { LOCATION_PROXY: proxy.url });
  t.match(gone, { code: 'FETCH_RETRYABLE', reason: /^proxy_50[0234]$/ });
});

void t.test('a name that the proxy alone can resolve', async (t) => {
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  origin.serve('/fw.bin', IMAGE);
  const proxy = await ownProxy(t, { names: { 'firmware.invalid': origin.port } });
  const location = 'http://firmware.invalid/fw.bin';
  t.ok((await get(t, location, { HTTP_PROXY: proxy.url })).bytes?.equals(IMAGE));
  t.same(proxy.asked, ['GET http://firmware.invalid/fw.bin']);
  t.match(proxy.heads[0], { host: 'firmware.invalid', 'user-agent': /^khumbu\// });
  const strict = { HTTP_PROXY: proxy.url, ALLOW_NAMES_ONLY_PROXY_RESOLVES: 'false' };
  t.match(await get(t, location, strict), { reason: 'dns' });
  t.equal(proxy.asked.length, 1);
});

void t.test('the policy of locations is asked before any proxy, of every hop', async (t) => {
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  const proxy = await ownProxy(t, {});
  const strict = createLocationPolicy(
    { allowedSchemes: ['http', 'https'], allowedHosts: [], allowLoopback: false },
    (name, _options, done) =>
      done(null, [{ address: name === 'inside.example' ? '169.254.169.254' : '203.0.113.7', family: 4 }]),
  );
  for (const location of [
    'http://127.0.0.1/x',
    'http://169.254.169.254/x',
    'https://inside.example/x',
    'http://inside.example/x',
    'http://localhost/',
  ]) {
    const error = await get(t, location, { LOCATION_PROXY: proxy.url }, { policy: strict });
    t.match(error, { code: 'FETCH_PERMANENT', reason: 'location_refused' }, location);
  }
  t.same(proxy.asked, []);
  const url = origin.serve('/fw.bin', IMAGE, { redirect: 'http://169.254.169.254/latest' });
  t.match(await get(t, url, { LOCATION_PROXY: proxy.url }), { reason: 'location_refused' });
  t.same(proxy.asked, [`GET ${url}`]);
});

void t.test('a redirect from http to https, each by the proxy of its scheme', async (t) => {
  const dir = t.testdir({ tls: {} });
  const secure = await startOrigin({ tlsDir: join(dir, 'tls') });
  const plain = await startOrigin();
  t.teardown(() => Promise.all([plain.close(), secure.close()]));
  const target = secure.serve('/fw.bin', IMAGE);
  const url = plain.serve('/fw.bin', IMAGE, { redirect: target });
  const [forHttp, forHttps] = [await ownProxy(t, {}), await ownProxy(t, {})];
  const env = { http_proxy: forHttp.url, https_proxy: forHttps.url };
  t.ok((await get(t, url, env, { ca: secure.caPem ?? '' })).bytes?.equals(IMAGE));
  t.same(forHttp.asked, [`GET ${url}`]);
  t.same(forHttps.asked, [`CONNECT 127.0.0.1:${secure.port}`]);
});

void t.test('a proxy that is reached by TLS, and one that wants Digest', async (t) => {
  const dir = t.testdir({ tls: {}, origin: {}, spool: {} });
  const tls = await selfSigned(join(dir, 'tls'), 'proxy', { extensions: ['subjectAltName=IP:127.0.0.1'] });
  const secure = await startOrigin({ tlsDir: join(dir, 'origin') });
  const plain = await startOrigin();
  t.teardown(() => Promise.all([plain.close(), secure.close()]));
  const refuse = (request: IncomingMessage): [number, Record<string, string>] | undefined => {
    const text = request.headers['proxy-authorization'] ?? '';
    const of = (name: string) => new RegExp(`[ ,]${name}="?([^",]*)`).exec(text)?.[1] ?? '';
    const hash = (...parts: string[]) => createHash('md5').update(parts.join(':')).digest('hex');
    const a2 = hash(request.method ?? '', request.url ?? '');
    const right = hash(hash('depot', 'proxy', 'hush'), 'n', of('nc'), of('cnonce'), 'auth', a2);
    if (text.startsWith('Digest ') && of('response') === right) return undefined;
    return [407, { 'Proxy-Authenticate': 'Digest realm="proxy", nonce="n", qop="auth"' }];
  };
  const digest = await ownProxy(t, { refuse });
  for (const origin of [plain, secure]) {
    const url = origin.serve('/fw.bin', IMAGE);
    const ca = origin.caPem === undefined ? {} : { ca: origin.caPem };
    const { bytes, message } = await get(t, url, { LOCATION_PROXY: digest.url.replace('//', '//depot:hush@') }, ca);
    t.ok(bytes?.equals(IMAGE), message ?? 'by Digest');
    const wrong = await get(t, url, { LOCATION_PROXY: digest.url.replace('//', '//depot:wrong@') }, ca);
    t.match(wrong, { reason: 'proxy_407', message: /it wants Digest \(qop auth\)/ });
  }
  const byTls = await ownProxy(t, { tls });
  const untrusted = await get(t, plain.serve('/fw.bin', IMAGE), { LOCATION_PROXY: byTls.url });
  t.match(untrusted, { reason: 'proxy_unreachable', message: /DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED/ });
});
