import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fetchInThread, type ThreadFetchOptions } from '@khumbu/ota-worker/fetching/fetch-in-thread';
import t, { type Test } from 'tap';

const IMAGE = randomBytes(3_000_000);
const sha256 = createHash('sha256').update(IMAGE).digest('hex');

async function serve(t: Test, handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/image`;
}

const optionsFor = (
  spoolDir: string,
  location: string,
  changes: Partial<ThreadFetchOptions> = {},
): ThreadFetchOptions => ({
  location,
  key: 'key',
  spoolDir,
  rules: { allowedSchemes: ['http'], allowedHosts: [], allowLoopback: true },
  maxBytes: 10_000_000,
  stallMs: 30_000,
  signal: new AbortController().signal,
  ...changes,
});

void t.test('a fetch in a thread is a fetch, and tells how far it is', async (t) => {
  const spool = t.testdir();
  const url = await serve(t, (_request, response) => response.writeHead(200, { etag: '"a"' }).end(IMAGE));
  const seen: number[] = [];
  const onProgress = (bytes: number): void => void seen.push(bytes);
  const result = await fetchInThread(optionsFor(spool, url, { onProgress }));
  const path = join(spool, 'images', sha256);
  t.same(result, { kind: 'fetched', path, sha256, sizeBytes: IMAGE.length, etag: '"a"' });
  t.ok(readFileSync(path).equals(IMAGE));
  t.same(
    seen,
    seen.toSorted((a, b) => a - b),
  );
});

void t.test('its errors are those of a fetch', async (t) => {
  const busy = await serve(t, (_request, response) => response.writeHead(503, { 'retry-after': '7' }).end());
  await t.rejects(fetchInThread(optionsFor(t.testdir(), busy)), {
    name: 'FetchError',
    code: 'FETCH_RETRYABLE',
    reason: 'http_503',
    retryAfterS: 7,
  });
  const rules = { allowedSchemes: ['http'], allowedHosts: [], allowLoopback: false } as const;
  await t.rejects(fetchInThread(optionsFor(t.testdirName, busy, { rules })), {
    code: 'FETCH_PERMANENT',
    reason: 'location_refused',
  });
  await t.rejects(fetchInThread(optionsFor(t.testdirName, busy, { key: '../x' })), { code: 'FETCH_KEY_INVALID' });
});

void t.test('one that is aborted ends with the reason and leaves what it has closed for the next', async (t) => {
  const spool = t.testdir();
  const url = await serve(t, (request, response) => {
    const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const head = { etag: '"a"', 'content-length': IMAGE.length - from };
    if (from > 0) {
      response.writeHead(206, { ...head, 'content-range': `bytes ${from}-${IMAGE.length - 1}/${IMAGE.length}` });
      response.end(IMAGE.subarray(from));
    } else response.writeHead(200, head).write(IMAGE.subarray(0, 1_000_000));
  });
  const aborter = new AbortController();
  const onProgress = (): void => aborter.abort(new Error('enough'));
  await t.rejects(fetchInThread(optionsFor(spool, url, { signal: aborter.signal, onProgress })), { message: 'enough' });
  const sidecar = readdirSync(join(spool, 'fetching')).find((name) => name.endsWith('.json')) ?? '';
  t.match(JSON.parse(readFileSync(join(spool, 'fetching', sidecar), 'utf8')), { closed: true });
  t.match(await fetchInThread(optionsFor(spool, url)), { sha256 });
  await t.rejects(fetchInThread(optionsFor(spool, url, { signal: AbortSignal.abort(new Error('no')) })), {
    message: 'no',
  });
});

void t.test('several fetches share a thread, and nothing of one gets into another', async (t) => {
  const spool = t.testdir();
  const ends: (() => unknown)[] = [];
  const url = await serve(t, ({ url: path }, response) => {
    const bytes = Buffer.concat([Buffer.from(path ?? ''), IMAGE]);
    response.writeHead(200, { etag: '"a"', 'content-length': bytes.length }).write(bytes.subarray(0, 1_000_000));
    // The last one gets no further: it can only be given up.
    ends.push(() => (path?.endsWith('/5') ? undefined : response.end(bytes.subarray(1_000_000))));
    // All are under way by then.
    if (ends.length === 5) for (const end of ends) end();
  });
  const aborter = new AbortController();
  const fetches = [1, 2, 3, 4].map((n) => fetchInThread(optionsFor(spool, `${url}/${n}`, { key: `key-${n}` })));
  const onProgress = (): void => aborter.abort(new Error('enough'));
  const given = fetchInThread(optionsFor(spool, `${url}/5`, { key: 'key-5', signal: aborter.signal, onProgress }));
  await t.rejects(given, { message: 'enough' });
  const hashes = [1, 2, 3, 4].map((n) => createHash('sha256').update(`/image/${n}`).update(IMAGE).digest('hex'));
  t.match(
    await Promise.all(fetches),
    hashes.map((hash) => ({ kind: 'fetched', sha256: hash })),
  );
});

void t.test('it asks for room and goes by the answer', async (t) => {
  const size = 1e15;
  const url = await serve(t, (_request, response) => response.writeHead(200, { 'content-length': size }).write('x'));
  const asked: number[] = [];
  const makeRoom = async (bytes: number): Promise<number> => {
    asked.push(bytes);
    return asked.length === 1 ? 1 : 0;
  };
  const options = optionsFor(t.testdir(), url, { maxBytes: 2 * size, makeRoom });
  await t.rejects(fetchInThread(options), { code: 'FETCH_RETRYABLE', reason: 'no_space' });
  t.equal(asked.length, 2);
  t.ok(asked.every((bytes) => bytes > size / 2));
});

void t.test(
  'without an answer about room it fails for want of room, and leaves nothing that keeps the spool full',
  async (t) => {
    const other = { validators: {}, total: 1e15, bootId: 'b', syncedBytes: 0, closed: false, startedAt: 1 };
    const name = 'other.00000000-0000-4000-8000-000000000000';
    // An earlier download that will take all there is: ours has begun its file when it hears that.
    const spool = t.testdir({ fetching: { [`${name}.json`]: JSON.stringify(other), [`${name}.part`]: '' } });
    const head = { etag: '"a"', 'content-length': IMAGE.length };
    const url = await serve(t, (_request, response) => response.writeHead(200, head).end(IMAGE));
    const cause = new Error('no list of what is needed');
    const begun: string[] = [];
    const makeRoom = async (): Promise<number> => {
      begun.push(...readdirSync(join(spool, 'fetching')).filter((file) => file.startsWith('key.')));
      throw cause;
    };
    const failure: Error = await fetchInThread(optionsFor(spool, url, { makeRoom })).then(
      () => t.fail('it fits'),
      (error) => error,
    );
    t.match(failure, { code: 'FETCH_RETRYABLE', reason: 'no_space' });
    t.equal(failure.cause, cause, 'why no room was made');
    t.not(begun.length, 0);
    t.same(readdirSync(join(spool, 'fetching')).sort(), [`${name}.json`, `${name}.part`]);
  },
);
