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

/** What an HTTP server of Node hears of one upload. */
const heads = (server: Awaited<ReturnType<typeof origin>>) =>
  server.uploads.items.map(({ method, headers }) => [
    method,
    headers['content-type'],
    headers['content-disposition'],
    headers['content-length'],
  ]);

void t.test('an upload says what it is and what it is called, by PUT and by POST (OCPP 2.1 N01.FR.19)', async (t) => {
  const server = await origin(t);
  const url = server.receive('/up');
  await put(t, url, { fileName: 'cs-1.tar.gz' });
  await put(t, url, { fileName: 'cs-1.tar.gz', method: 'post' });
  await put(t, url, { fileName: 'a "b"\\ ü.gz', method: 'post' });
  t.same(heads(server), [
    ['PUT', 'application/gzip', 'attachment; filename="cs-1.tar.gz"', '10'],
    ['POST', 'application/gzip', 'attachment; filename="cs-1.tar.gz"', '10'],
    [
      'POST',
      'application/gzip',
      'attachment; filename="a _b__ _.gz"; filename*=UTF-8\'\'a%20%22b%22%5C%20%C3%BC.gz',
      '10',
    ],
  ]);
  t.ok(server.uploads.items.every(({ body }) => body.equals(ARCHIVE)));
});

void t.test('an upload as a form: one field, as the example of OCPP has it', async (t) => {
  const server = await origin(t);
  const url = server.receive('/up');
  for (const size of [10, 3_000_000]) {
    const archive = Buffer.alloc(size, 'x');
    t.same(await put(t, url, { fileName: 'cs-1.tar.gz', method: 'form' }, archive), { bytes: size });
    const upload = server.uploads.items.at(-1);
    // Read by another one's parser.
    const form = await new Response(new Uint8Array(upload?.body ?? []), {
      headers: { 'content-type': upload?.headers['content-type'] ?? '' },
    }).formData();
    const file = form.get('uploadedfile') as File;
    t.match(
      { method: upload?.method, name: file.name, type: file.type },
      {
        method: 'POST',
        name: 'cs-1.tar.gz',
        type: 'application/gzip',
      },
    );
    t.ok(Buffer.from(await file.arrayBuffer()).equals(archive));
  }
});

void t.test('a server that takes POST alone, or knows no Content-Disposition, gets it so', async (t) => {
  const server = await origin(t);
  const posting = server.receive('/post', [{ status: 405, headers: { allow: 'GET, post' } }, {}]);
  await put(t, posting, { fileName: 'a.gz' });
  const strict = server.receive('/strict', [{ status: 501 }, {}]);
  await put(t, strict, { fileName: 'a.gz' });
  t.match(
    server.uploads.items.map(({ method, headers, status }) => [method, headers['content-disposition'] ?? '', status]),
    [
      ['PUT', /a\.gz/, 405],
      ['POST', /a\.gz/, 201],
      ['PUT', /a\.gz/, 501],
      ['PUT', '', 201],
    ],
  );
  const neither = server.receive('/neither', { status: 405, headers: { allow: 'GET' } });
  const error: unknown = await put(t, neither, { fileName: 'a.gz' }).catch((failure: unknown) => failure);
  t.match(error, { status: 'NotSupportedOperation', reason: 'http_405' });
  t.equal(server.stats('/neither').requests, 1);
});
