import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DEFAULT_USER_AGENT } from '@khumbu/shared/http/user-agent';
import { startOrigin } from '@khumbu/test-support/origin';
import t, { type Test } from 'tap';
import { type Put, putFile } from './put-file.js';

const ARCHIVE = Buffer.from('an archive');

async function origin(t: Test) {
  const server = await startOrigin();
  t.teardown(() => server.close());
  return server;
}

/** One PUT of a file. */
async function put(t: Test, url: string, more: Put = {}, archive: Buffer = ARCHIVE): Promise<{ bytes: number }> {
  const path = join(t.testdir({}), 'archive');
  writeFileSync(path, archive);
  return putFile(url, path, more);
}

void t.test('an upload says who sends it', async (t) => {
  const server = await origin(t);
  const url = server.receive('/up');
  await put(t, url);
  await put(t, url, { userAgent: 'depot 7' });
  t.same(
    server.uploads.items.map(({ headers }) => headers['user-agent']),
    [DEFAULT_USER_AGENT, 'depot 7'],
  );
});

void t.test('an upload that is put off says by how long the server wants it', async (t) => {
  const server = await origin(t);
  const url = server.receive('/up', { status: 503, headers: { 'retry-after': '120' } });
  const error: unknown = await put(t, url).catch((failure: unknown) => failure);
  t.match(error, { reason: 'http_503', retryable: true, retryAfterS: 120 });
});

const lion = { username: 'op', password: 'hush' };

void t.test('an upload logs in as the server wants it', async (t) => {
  for (const size of [10, 3_000_000]) {
    const heads: string[] = [];
    const bodies: number[] = [];
    const server = createServer((request, response) => {
      heads.push(request.headers.authorization ?? '');
      if (!request.headers.authorization?.startsWith('Digest ')) {
        const challenge = 'Basic realm="x", Digest realm="x", nonce="n", qop="auth", algorithm=SHA-256';
        return void response.writeHead(401, { 'www-authenticate': challenge }).end();
      }
      let bytes = 0;
      request.on('data', (piece: Buffer) => {
        bytes += piece.length;
      });
      request.on('end', () => {
        bodies.push(bytes);
        response.writeHead(201).end();
      });
    });
    server.on('checkContinue', (request, response: ServerResponse) => {
      if (request.headers.authorization?.startsWith('Digest ')) response.writeContinue();
      server.emit('request', request, response);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.close());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/logs/a.gz?x=1`;
    t.same(await put(t, url, { credentials: lion }, Buffer.alloc(size)), { bytes: size });
    t.match(heads[0], /^Basic /);
    t.match(heads[1], /^Digest username="op", realm="x", nonce="n", uri="\/logs\/a\.gz\?x=1"/);
    t.same([heads.length, bodies], [2, [size]], `${size} bytes come once`);
  }
});

void t.test('an upload that is not let in says what is wanted, and nothing secret', async (t) => {
  const server = await origin(t);
  const headers = { 'www-authenticate': 'Digest realm="hush", nonce="n", algorithm=SHA-512-256' };
  const url = server.receive('/up', { status: 401, headers });
  const error: unknown = await put(t, url, { credentials: lion }).catch((failure: unknown) => failure);
  t.match(error, { status: 'PermissionDenied', reason: 'http_401' });
  t.match(error, { text: 'the server answered 401; it wants Digest (SHA-512-256)' });
  t.notMatch(String(error), /hush/);
});
