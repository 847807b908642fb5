import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { awaitUntil, within } from '@khumbu/test-support/events';
import { keepCollecting } from '@khumbu/test-support/garbage';
import { startOrigin } from '@khumbu/test-support/origin';
import { hasTinyproxy, startTinyproxy } from '@khumbu/test-support/tinyproxy';
import { PROXY_SETTINGS, proxyRules } from '@khumbu/transfer/http/forward-proxy';
import t from 'tap';
import { Type } from 'typebox';
import type { UploadError } from '../src/upload/failure-status.js';
import { type Put, putFile } from './put-file.js';

const rulesOf = (env: Record<string, string>) => proxyRules(loadConfig(Type.Object(PROXY_SETTINGS), env));
const SMALL = Buffer.from('an archive');
const LARGE = randomBytes(3_000_000);

void t.test(
  'uploads go through a real proxy, by http and by https, with its password and without any of it told',
  hasTinyproxy() ? {} : { skip: 'tinyproxy is not installed' },
  async (t) => {
    const dir = t.testdir({ tls: {}, proxy: {} });
    const proxy = await startTinyproxy({ dir: join(dir, 'proxy'), user: 'depot', password: 'hush' });
    const plain = await startOrigin();
    const secure = await startOrigin({ tlsDir: join(dir, 'tls') });
    t.teardown(() => Promise.all([proxy.stop(), plain.close(), secure.close()]));
    const path = join(dir, 'archive');
    const put = async (url: string, bytes: Buffer, env: Record<string, string>, more: Put = {}) => {
      writeFileSync(path, bytes);
      const input = { proxy: rulesOf(env), ca: secure.caPem, ...more };
      return putFile(url, path, input).catch((error: unknown) => error as UploadError);
    };
    for (const origin of [plain, secure]) {
      const url = origin.receive('/logs/a.gz');
      const line = origin === plain ? `PUT ${url} HTTP/1.1` : `CONNECT 127.0.0.1:${origin.port} HTTP/1.1`;
      for (const bytes of [SMALL, LARGE]) {
        const before = proxy.asked().length;
        t.same(await put(url, bytes, { LOCATION_PROXY: proxy.url }), { bytes: bytes.length });
        t.ok(origin.uploads.items.at(-1)?.body.equals(bytes), 'whole');
        t.notOk(origin.uploads.items.at(-1)?.headers['proxy-authorization']);
        await awaitUntil(() => proxy.asked().length > before, 5000, 'what the proxy was asked');
        t.same(proxy.asked().slice(before), [line]);
      }
      const before = proxy.asked().length;
      await put(url, SMALL, { LOCATION_PROXY: proxy.url, NO_PROXY: '127.0.0.1' });
      t.equal(proxy.asked().length, before, 'left out');

      const without = await put(url, SMALL, { LOCATION_PROXY: proxy.url.replace('depot:hush@', '') });
      t.match(without, { status: 'PermissionDenied', reason: 'proxy_407', retryable: false, text: /it wants Basic/ });
      const gone = await put(url, SMALL, { LOCATION_PROXY: 'http://depot:hush@127.0.0.1:1' });
      t.match(gone, { status: 'UploadFailure', reason: 'proxy_unreachable', retryable: true });
      for (const error of [without, gone])
        t.notMatch(JSON.stringify([error, 'message' in error && error.message]), /hush|ZGVwb3Q6/);
    }
    const policy = createLocationPolicy(
      { allowedSchemes: ['http', 'https'], allowedHosts: [], allowLoopback: false },
      (_name, _options, done) => done(null, [{ address: '169.254.169.254', family: 4 }]),
    );
    const before = proxy.asked().length;
    for (const url of ['http://inside.example/x', 'https://inside.example/x'])
      t.match(await put(url, SMALL, { LOCATION_PROXY: proxy.url }, { policy }), { status: 'UploadFailure' });
    t.equal(proxy.asked().length, before, 'the policy is asked first');
  },
);

void t.test('a proxy that says nothing is waited for no longer than any other server', async (t) => {
  t.teardown(keepCollecting());
  const silent = createServer((socket) => void socket.on('error', () => undefined).resume());
  await new Promise<void>((resolve) => void silent.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void silent.close());
  const path = join(t.testdir({ archive: 'an archive' }), 'archive');
  const { port } = silent.address() as AddressInfo;
  const proxy = rulesOf({ LOCATION_PROXY: `http://127.0.0.1:${port}` });
  for (const url of ['https://198.51.100.7/x', 'http://198.51.100.7/x']) {
    const outcome = putFile(url, path, { proxy, stallMs: 300 }).catch((error: unknown) => error);
    t.match(await within(outcome, 30_000, url), { status: 'UploadFailure', retryable: true }, url);
  }
});
