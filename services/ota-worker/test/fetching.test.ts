import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { fetchImage } from '@khumbu/ota-worker/fetching/fetch-image';
import type { FetchOptions } from '@khumbu/ota-worker/fetching/fetch-options';
import { sweepParts } from '@khumbu/ota-worker/fetching/resume-download';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import type { Downloaded } from '@khumbu/steps/firmware-update/image-ports';
import { awaitUntil } from '@khumbu/test-support/events';
import t, { type Test } from 'tap';

const MIB = 1024 * 1024;
/** Most that one interruption may cost. */
const LOSS = 256 * 1024;
/** So much of it comes again each time, to be compared. */
const OVERLAP = 64 * 1024;
const IMAGE = randomBytes(8 * MIB + 13);
const OTHER = randomBytes(5 * MIB);
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A server that answers request after request by the next handler, the last one for ever. */
async function origin(t: Test, ...handlers: Handler[]) {
  const requests: IncomingMessage[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    requests.push(request);
    handlers[Math.min(requests.length, handlers.length) - 1]?.(request, response);
  });
  server.on('connection', (socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const base = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const bytesSent = () => [...sockets].reduce((sum, socket) => sum + socket.bytesWritten, 0);
  const ranges = () => requests.map(({ headers }) => headers.range);
  return { requests, ranges, bytesSent, base, url: `http://${base}/fw.bin` };
}

/** What a good server does; `cutAt`: bytes of the body after which it ends the connection, `holdAt`: falls silent. */
const serve =
  (image: Buffer, o: { etag?: string | null; cutAt?: number; holdAt?: number; ranges?: boolean } = {}): Handler =>
  (request, response) => {
    const etag = o.etag === undefined ? '"v1"' : o.etag;
    const wanted = /^bytes=(\d+)-$/.exec(request.headers.range ?? '');
    const isCurrent = etag !== null && request.headers['if-range'] === etag;
    const start = wanted && isCurrent && o.ranges !== false ? Number(wanted[1]) : 0;
    if (etag !== null && request.headers['if-none-match'] === etag) return void response.writeHead(304, { etag }).end();
    response.writeHead(start > 0 ? 206 : 200, {
      ...(etag === null ? {} : { etag }),
      'content-length': image.length - start,
      ...(start > 0 ? { 'content-range': `bytes ${start}-${image.length - 1}/${image.length}` } : {}),
    });
    const body = image.subarray(start);
    const end = o.cutAt ?? o.holdAt;
    if (end === undefined) return void response.end(body);
    response.write(body.subarray(0, end), () => (o.cutAt === undefined ? undefined : response.socket?.end()));
  };

const policyWith = (allowLoopback: boolean, allowedHosts: string[] = []) =>
  createLocationPolicy({ allowedSchemes: ['http', 'https', 's3'], allowedHosts, allowLoopback });

const optionsFor = (spoolDir: string, location: string, changes: Partial<FetchOptions> = {}): FetchOptions => ({
  location,
  key: 'image',
  spoolDir,
  policy: policyWith(true),
  maxBytes: 100 * MIB,
  stallMs: 20_000,
  signal: new AbortController().signal,
  ...changes,
});
type Failure = { code: string; reason: string; message: string; stack?: string; retryAfterS?: number };
const failure = async (options: FetchOptions): Promise<Failure> => {
  try {
    const { kind } = await fetchImage(options);
    return { code: 'none', reason: kind, message: '' };
  } catch (error) {
    return error as Failure;
  }
};
const fetching = (spool: string) => readdirSync(join(spool, 'fetching'));
function isImage(t: Test, spool: string, result: Downloaded, image = IMAGE): void {
  const path = join(spool, 'images', sha256(image));
  t.match(result, { kind: 'fetched', path, sha256: sha256(image), sizeBytes: image.length });
  t.ok(readFileSync(path).equals(image), 'the published bytes are the image');
  t.same(fetching(spool), [], 'nothing is left');
}

class Child {
  readonly process: ChildProcessByStdio<null, Readable, null>;
  readonly lines: AsyncIterator<string>;
  constructor(t: Test, location: string, spool: string) {
    const script = fileURLToPath(new URL('./fetch-child.js', import.meta.url));
    this.process = spawn(process.execPath, [script, location, spool], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
    t.teardown(() => this.process.kill('SIGKILL'));
  }
  async reached(bytes: number): Promise<void> {
    for (;;) {
      const line = await this.lines.next();
      if (line.done) throw new Error('the child ended');
      if (Number(line.value) >= bytes) return;
    }
  }
  async lastLine(): Promise<string> {
    let last = '';
    for (;;) {
      const line = await this.lines.next();
      if (line.done) return last;
      last = line.value;
    }
  }
}

void t.test('a whole image, with progress, basic auth and no fragment', async (t) => {
  const spool = t.testdir({});
  const server = await origin(t, serve(IMAGE));
  const seen: number[] = [];
  const result = await fetchImage(
    optionsFor(spool, `http://us%3Aer:p%40ss@${server.base}/fw.bin?x=1#khumbu`, {
      onProgress: (bytes, total) => seen.push(bytes, total ?? 0),
      originHeaders: { 'x-depot': '7' },
    }),
  );
  isImage(t, spool, result);
  t.match(result, { etag: '"v1"' });
  t.same(seen.slice(-2), [IMAGE.length, IMAGE.length]);
  t.match(server.requests[0], { url: '/fw.bin?x=1' });
  const basic = `Basic ${Buffer.from('us:er:p@ss').toString('base64')}`;
  t.match(server.requests[0]?.headers, { authorization: basic, 'accept-encoding': 'identity', 'x-depot': '7' });
  isImage(t, spool, await fetchImage(optionsFor(spool, server.url)), IMAGE);
  const known = { etag: '"v1"' };
  t.same(await fetchImage(optionsFor(spool, server.url, { known })), { kind: 'unchanged' });
  t.equal(server.requests[2]?.headers['if-none-match'], '"v1"');
  t.same(fetching(spool), []);
});

void t.test('an origin that sends what has not changed is found out by its ETag, and not read', async (t) => {
  const spool = t.testdir({});
  const server = await origin(t, (_request, response) => {
    response.writeHead(200, { etag: '"v1"', 'content-length': IMAGE.length }).end(IMAGE);
  });
  isImage(t, spool, await fetchImage(optionsFor(spool, server.url)));
  const again = await fetchImage(optionsFor(spool, server.url, { known: { etag: '"v1"' } }));
  t.same(again, { kind: 'unchanged', sentAnyway: true });
});

void t.test('goes on after SIGKILL', async (t) => {
  const spool = t.testdir({});
  const server = await origin(t, serve(IMAGE, { holdAt: 3 * MIB }), serve(IMAGE));
  const child = new Child(t, server.url, spool);
  await child.reached(3 * MIB);
  const exit = once(child.process, 'exit');
  child.process.kill('SIGKILL');
  await exit;
  const { ino } = statSync(join(spool, 'fetching', fetching(spool).find((name) => name.endsWith('.part')) ?? ''));
  isImage(t, spool, await fetchImage(optionsFor(spool, server.url)));
  t.equal(statSync(join(spool, 'images', sha256(IMAGE))).ino, ino, 'not copied: who wrote it has ended');
  const start = Number(/\d+/.exec(server.ranges()[1] ?? '')?.[0]);
  t.ok(start <= 3 * MIB && start >= 3 * MIB - LOSS, `asked from ${start}`);
  t.ok(server.bytesSent() <= IMAGE.length + LOSS + 4096, `${server.bytesSent()} bytes from the origin`);
});

void t.test('a frozen writer that wakes up harms nothing', async (t) => {
  const spool = t.testdir({});
  let wake: () => void = () => {};
  const lying: Handler = (request, response) => {
    serve(IMAGE, { holdAt: 3 * MIB })(request, response);
    wake = () => response.end(randomBytes(IMAGE.length - 3 * MIB));
  };
  const server = await origin(t, lying, serve(IMAGE, { holdAt: 2 * MIB }), serve(IMAGE));
  const child = new Child(t, server.url, spool);
  await child.reached(3 * MIB);
  child.process.kill('SIGSTOP');
  const aborter = new AbortController();
  const second = fetchImage(
    optionsFor(spool, server.url, {
      signal: aborter.signal,
      onProgress: (bytes) => bytes >= 4 * MIB && aborter.abort(new Error('enough')),
    }),
  );
  await t.rejects(second, { message: 'enough' });
  wake();
  child.process.kill('SIGCONT');
  t.equal(await child.lastLine(), 'superseded');
  isImage(t, spool, await fetchImage(optionsFor(spool, server.url)));
  const third = Number(/\d+/.exec(server.ranges()[2] ?? '')?.[0]);
  t.ok(third >= 4 * MIB - OVERLAP, `the second run's bytes were kept: asked from ${third}`);
});

void t.test('after another boot only what was synced counts', async (t) => {
  const spool = t.testdir({});
  const server = await origin(t, serve(IMAGE, { cutAt: 3 * MIB }), serve(IMAGE));
  t.match(await failure(optionsFor(spool, server.url)), { code: 'FETCH_RETRYABLE', reason: 'cut' });
  const sidecar = join(spool, 'fetching', fetching(spool).find((name) => name.endsWith('.json')) ?? '');
  const content = JSON.parse(readFileSync(sidecar, 'utf8'));
  t.match(content, { closed: true, validators: { etag: '"v1"' }, total: IMAGE.length });
  t.ok(content.syncedBytes > 3 * MIB - LOSS && content.syncedBytes <= 3 * MIB, 'closed and synced');
  writeFileSync(sidecar, JSON.stringify({ ...content, bootId: 'another', syncedBytes: MIB, closed: false }));
  isImage(t, spool, await fetchImage(optionsFor(spool, server.url)));
  t.equal(server.ranges()[1], `bytes=${MIB - OVERLAP}-`);
});

void t.test('a line that brings little is synced soon: another boot costs no more than another cut', async (t) => {
  const spool = t.testdir({});
  // A piece follows when the one before is synced, as on a line that is slower than the disk.
  const pieces = Array.from({ length: 4 }, (_none, index) => IMAGE.subarray(index * LOSS, (index + 1) * LOSS));
  let send: (piece: Buffer) => void = () => undefined;
  const slow: Handler = (_request, response) => {
    response.writeHead(200, { etag: '"v1"', 'content-length': IMAGE.length });
    send = (piece) => void response.write(piece);
    send(pieces[0] ?? IMAGE);
  };
  const server = await origin(t, slow, serve(IMAGE));
  const child = new Child(t, server.url, spool);
  await child.reached(1);
  const path = join(spool, 'fetching', fetching(spool).find((name) => name.endsWith('.json')) ?? '');
  const sidecar = () => JSON.parse(readFileSync(path, 'utf8')) as { syncedBytes: number };
  for (let held = LOSS; held <= pieces.length * LOSS; held += LOSS) {
    await awaitUntil(() => sidecar().syncedBytes === held, 20_000, `${held} bytes to be synced`);
    send(pieces[held / LOSS] ?? Buffer.alloc(0));
  }
  const exit = once(child.process, 'exit');
  child.process.kill('SIGKILL');
  await exit;
  writeFileSync(path, JSON.stringify({ ...sidecar(), bootId: 'another' }));
  isImage(t, spool, await fetchImage(optionsFor(spool, server.url)));
  t.equal(server.ranges()[1], `bytes=${pieces.length * LOSS - OVERLAP}-`);
  t.ok(server.bytesSent() <= IMAGE.length + LOSS + 4096, `${server.bytesSent()} bytes from the origin`);
});

void t.test('cut and gone on', async (t) => {
  const spool = t.testdir({});
  const cut = serve(IMAGE, { cutAt: 2 * MIB });
  const server = await origin(t, cut, cut, cut, serve(IMAGE));
  for (let i = 0; i < 3; i++) t.match(await failure(optionsFor(spool, server.url)), { reason: 'cut' });
  isImage(t, spool, await fetchImage(optionsFor(spool, server.url)));
  const starts = server.ranges().map((range) => Number(/\d+/.exec(range ?? '0')?.[0]));
  for (const [i, start] of starts.entries())
    t.ok(start <= i * 2 * MIB && start >= i * (2 * MIB - LOSS), `try ${i + 1} asked from ${start}`);
});

void t.test('what cannot be gone on with starts clean', async (t) => {
  const cut = (etag: string | null) => serve(IMAGE, { etag, cutAt: 2 * MIB });
  const lie206: Handler = (_request, response) => {
    const range = `bytes 0-${IMAGE.length - 1}/${IMAGE.length}`;
    response.writeHead(206, { etag: '"v1"', 'content-length': IMAGE.length, 'content-range': range }).end(IMAGE);
  };
  const elsewhere: Handler = (request, response) => {
    const start = Number(/\d+/.exec(request.headers.range ?? '')?.[0]);
    const range = `bytes ${start}-${IMAGE.length - 1}/${IMAGE.length}`;
    response.writeHead(206, { etag: '"v1"', 'content-length': IMAGE.length - start, 'content-range': range });
    response.end(IMAGE.subarray(0, IMAGE.length - start));
  };
  const replaced = Buffer.from(IMAGE).reverse();
  const no416: Handler = (_request, response) => void response.writeHead(416).end();
  const cases: [string, Handler[], typeof IMAGE, boolean[]][] = [
    ['ETag changed in between', [cut('"v0"'), serve(OTHER)], OTHER, [false, true]],
    ['weak ETag', [cut('W/"v1"'), serve(IMAGE)], IMAGE, [false, false]],
    ['no validator', [cut(null), serve(IMAGE)], IMAGE, [false, false]],
    ['no support for ranges', [cut('"v1"'), serve(IMAGE, { ranges: false })], IMAGE, [false, true]],
    ['a 206 from the wrong byte', [cut('"v1"'), lie206, serve(IMAGE)], IMAGE, [false, true, false]],
    ['a 206 of bytes from elsewhere', [cut('"v1"'), elsewhere, serve(IMAGE)], IMAGE, [false, true, false]],
    ['as much under the same ETag', [cut('"v1"'), serve(replaced)], replaced, [false, true, false]],
    ['416', [cut('"v1"'), no416, serve(IMAGE)], IMAGE, [false, true, false]],
  ];
  for (const [name, handlers, image, ranges] of cases)
    await t.test(name, async (t) => {
      const spool = t.testdir({});
      const server = await origin(t, ...handlers);
      t.match(await failure(optionsFor(spool, server.url)), { reason: 'cut' });
      isImage(t, spool, await fetchImage(optionsFor(spool, server.url)), image);
      t.same(
        server.ranges().map((range) => range !== undefined),
        ranges,
      );
    });
});

void t.test('all held already, and ranges in portions', async (t) => {
  const spool = t.testdir({});
  const noEnd: Handler = (_request, response) => void response.writeHead(200, { etag: '"v1"' }).write(IMAGE);
  const is416: Handler = (_request, response) =>
    void response.writeHead(416, { 'content-range': `bytes */${IMAGE.length}` }).end();
  for (const [handlers, requests] of [
    [[serve(IMAGE)], 2],
    [[is416, serve(IMAGE)], 3],
  ] as const) {
    const server = await origin(t, noEnd, ...handlers);
    const aborter = new AbortController();
    const onProgress = (bytes: number) => bytes === IMAGE.length && aborter.abort();
    await t.rejects(fetchImage(optionsFor(spool, server.url, { signal: aborter.signal, onProgress })));
    isImage(t, spool, await fetchImage(optionsFor(spool, server.url)));
    t.equal(server.requests.length, requests);
    t.equal(server.ranges()[1], `bytes=${IMAGE.length - OVERLAP}-`);
  }

  const portion: Handler = (request, response) => {
    const start = Number(/\d+/.exec(request.headers.range ?? '')?.[0]);
    const end = Math.min(start + 2 * MIB, IMAGE.length) - 1;
    response.writeHead(206, { etag: '"v1"', 'content-range': `bytes ${start}-${end}/${IMAGE.length}` });
    response.end(IMAGE.subarray(start, end + 1));
  };
  const portions = await origin(t, serve(IMAGE, { cutAt: MIB }), portion);
  t.match(await failure(optionsFor(spool, portions.url)), { reason: 'cut' });
  isImage(t, spool, await fetchImage(optionsFor(spool, portions.url)));
  t.equal(portions.requests.length, 5);
});

void t.test('refusals and failures by reason', async (t) => {
  const answer =
    (status: number, headers: Record<string, string> = {}): Handler =>
    (_request, response) =>
      void response.writeHead(status, headers).end('sorry');
  const cases: [string, Handler, Partial<FetchOptions>, object][] = [
    ['404', answer(404), {}, { code: 'FETCH_PERMANENT', reason: 'http_404' }],
    ['401', answer(401), {}, { code: 'FETCH_PERMANENT', reason: 'http_401' }],
    ['503', answer(503, { 'retry-after': '7' }), {}, { code: 'FETCH_RETRYABLE', reason: 'http_503', retryAfterS: 7 }],
    ['429', answer(429, { 'retry-after': '60' }), {}, { code: 'FETCH_RETRYABLE', retryAfterS: 60 }],
    ['labelled, but not encoded', answer(200, { 'content-encoding': 'gzip' }), {}, { reason: 'fetched' }],
    ['too large by length', serve(IMAGE), { maxBytes: MIB }, { code: 'FETCH_PERMANENT', reason: 'too_large' }],
    [
      'too large without length',
      (_request, response) => void response.writeHead(200, { etag: '"v1"' }).end(IMAGE),
      { maxBytes: MIB },
      { code: 'FETCH_PERMANENT', reason: 'too_large' },
    ],
    [
      'larger than any disk',
      (_request, response) => void response.writeHead(200, { 'content-length': String(1e15) }).write('x'),
      { maxBytes: 1e16 },
      { code: 'FETCH_RETRYABLE', reason: 'no_space' },
    ],
    ['silent in the body', serve(IMAGE, { holdAt: MIB }), { stallMs: 200 }, { reason: 'stalled' }],
    ['silent from the start', () => {}, { stallMs: 200 }, { code: 'FETCH_RETRYABLE', reason: 'stalled' }],
    ['hangs up', (request) => void request.socket.destroy(), {}, { code: 'FETCH_RETRYABLE', reason: 'cut' }],
    ['not HTTP', (request) => void request.socket.end('hello\r\n\r\n'), {}, { reason: 'bad_response' }],
    ['for ever elsewhere', answer(302, { location: '/x' }), {}, { reason: 'too_many_redirects' }],
    ['to metadata', answer(302, { location: 'http://169.254.169.254/' }), {}, { reason: 'location_refused' }],
    ['to a file', answer(302, { location: 'file:///etc/passwd' }), {}, { reason: 'location_refused' }],
    ['loopback', serve(IMAGE), { policy: policyWith(false) }, { code: 'FETCH_PERMANENT', reason: 'location_refused' }],
  ];
  for (const [name, handler, changes, expected] of cases)
    await t.test(name, async (t) => {
      const server = await origin(t, handler);
      const location = `http://user:secret@${server.base}/fw.bin?token=secret`;
      const error = await failure(optionsFor(t.testdir({}), location, changes));
      t.match(error, expected);
      t.notMatch(JSON.stringify([error, error.message, error.stack]), /secret/);
    });
  const spool = t.testdir({});
  const server = await origin(t, serve(IMAGE));
  const reason = async (location: string) => (await failure(optionsFor(spool, location))).reason;
  t.equal(await reason('http://no-such-host.invalid/'), 'dns');
  t.equal(await reason('http://127.0.0.1:1/'), 'connect');
  t.equal(await reason(`https://${server.base}/`), 'tls');
  t.equal(await reason('s3://bucket/key'), 'scheme_unsupported');
  t.equal(await reason('not a url'), 'location_refused');
  await t.rejects(fetchImage(optionsFor(spool, server.url, { key: '../x' })), { code: 'FETCH_KEY_INVALID' });
});

void t.test('a redirect: followed, checked, without credentials for strangers', async (t) => {
  const spool = t.testdir({});
  const target = await origin(t, serve(IMAGE));
  const server = await origin(t, (request, response) => {
    const location = request.url === '/fw.bin' ? '/next' : target.url;
    response.writeHead(307, { location }).end();
  });
  const location = `http://user:secret@${server.base}/fw.bin`;
  isImage(t, spool, await fetchImage(optionsFor(spool, location, { originHeaders: { 'x-token': 'ours' } })));
  t.match(server.requests[1]?.headers, { authorization: /^Basic/, 'x-token': 'ours' }, 'the same origin');
  t.notOk(target.requests[0]?.headers.authorization);
  t.notOk(target.requests[0]?.headers['x-token']);
  const only = policyWith(false, [server.base]);
  t.match(await failure(optionsFor(spool, location, { policy: only })), { reason: 'location_refused' });
  t.equal(target.requests.length, 1, 'the refused target was never connected to');
});

void t.test('abort by signal keeps what is held; leftovers are swept by age', async (t) => {
  const spool = t.testdir({});
  const server = await origin(t, serve(IMAGE, { holdAt: 3 * MIB }), serve(IMAGE));
  const aborter = new AbortController();
  const onProgress = (bytes: number) => bytes >= 3 * MIB && aborter.abort();
  await t.rejects(fetchImage(optionsFor(spool, server.url, { signal: aborter.signal, onProgress })), {
    name: 'AbortError',
  });
  await t.rejects(fetchImage(optionsFor(spool, server.url, { signal: aborter.signal })), { name: 'AbortError' });
  t.equal(await sweepParts(join(spool, 'fetching'), 60_000, Date.now()), 0);
  isImage(t, spool, await fetchImage(optionsFor(spool, server.url)));
  t.match(server.ranges()[1], /^bytes=(29|30|31)\d{5}-$/);
  writeFileSync(join(spool, 'fetching', `gone.${crypto.randomUUID()}.part`), 'x');
  t.equal(await sweepParts(join(spool, 'fetching'), 60_000, Date.now() + 61_000), 1);
  t.ok(existsSync(join(spool, 'images', sha256(IMAGE))));
});

void t.test('many runs at once: the last to start wins, the image is right', async (t) => {
  const spool = t.testdir({});
  const server = await origin(t, serve(IMAGE, { cutAt: 2 * MIB }), serve(IMAGE));
  t.match(await failure(optionsFor(spool, server.url)), { reason: 'cut' });
  const runs = await Promise.all(Array.from({ length: 5 }, () => failure(optionsFor(spool, server.url))));
  const reasons = new Set(runs.map(({ reason }) => reason));
  t.ok(reasons.has('fetched'), 'one got through');
  reasons.delete('fetched');
  reasons.delete('superseded');
  t.same([...reasons], []);
  isImage(t, spool, await fetchImage(optionsFor(spool, server.url)));
});

void t.test('https: only by an authority that is trusted', async (t) => {
  const spool = t.testdir({});
  const names = ['-subj', '/CN=depot', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const files = ['-keyout', 'key.pem', '-out', 'cert.pem'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...names, ...files], {
    cwd: spool,
    stdio: 'pipe',
  });
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => readFileSync(join(spool, name), 'utf8'));
  const server = createTlsServer({ key, cert }, serve(IMAGE)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}/fw.bin`;
  t.match(await failure(optionsFor(spool, url)), { code: 'FETCH_RETRYABLE', reason: 'tls' });
  isImage(t, spool, await fetchImage(optionsFor(spool, url, { ca: cert ?? '' })));
});
