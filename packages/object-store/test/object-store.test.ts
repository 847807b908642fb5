import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { Client } from 'minio';
import t, { type Test } from 'tap';
import { createObjectStore, type ObjectStore } from '../src/object-store.js';
import { type S3Server, startS3Server } from './s3-server.js';

const MIB = 1024 * 1024;
const BUCKET = 'depot';

function storeAt(test: Test, endpoint: string, options?: { stallMs?: number; secret?: string }): ObjectStore {
  const store = createObjectStore(
    {
      S3_ENDPOINT: endpoint,
      S3_REGION: 'us-east-1',
      S3_ACCESS_KEY: 'S3RVER',
      S3_SECRET_KEY: options?.secret ?? 'S3RVER',
      S3_BUCKET: BUCKET,
    },
    options,
  );
  test.teardown(() => store.close());
  return store;
}

async function setUp(test: Test, intercept?: Parameters<typeof startS3Server>[2]) {
  const directory = await mkdtemp(join(tmpdir(), 'khumbu-s3-'));
  test.teardown(() => rm(directory, { recursive: true, force: true }));
  const server = await startS3Server(directory, BUCKET, intercept);
  test.teardown(() => server.close());
  return { server, store: storeAt(test, server.endpoint) };
}

/** Hands out `blocks` MiB of noise; `onBlock` runs before each. */
function noise(blocks: number, onBlock: (index: number) => void | Promise<void> = () => undefined) {
  const hash = createHash('sha256');
  async function* generate() {
    for (let index = 0; index < blocks; index += 1) {
      await onBlock(index);
      const block = randomBytes(MIB);
      hash.update(block);
      yield block;
    }
  }
  return { body: Readable.from(generate(), { objectMode: false }), sha256: () => hash.digest('hex') };
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const type = { contentType: 'application/gzip' };
/** The stores are in this process: what stands still with them for some seconds is no silence of theirs. */
const STALL_MS = 6000;

async function assertNothingLeft(test: Test, server: S3Server, store: ObjectStore, key: string) {
  test.same(await server.unfinished(), [], 'no unfinished upload');
  test.equal(await store.stat(BUCKET, key), undefined, 'no object');
}

/** A door in front of the server that can be shut, or left open with nothing passing. */
async function startDoor(test: Test, port: number) {
  const sockets = new Set<Socket>();
  let frozen = false;
  const door: Server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk) => {
        if (!frozen) to.write(chunk);
      });
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
  });
  const cut = () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
  };
  door.listen(0, '127.0.0.1');
  await once(door, 'listening');
  const shut = () => {
    door.close();
    cut();
  };
  test.teardown(shut);
  const { port: doorPort } = door.address() as { port: number };
  return {
    endpoint: `http://127.0.0.1:${doorPort}`,
    cut,
    shut,
    freeze: () => {
      frozen = true;
    },
  };
}

void t.test('a stream of unknown size arrives whole, with its metadata, in bounded parts', async (t) => {
  const { server, store } = await setUp(t);
  const { body, sha256: sent } = noise(40);
  const progress: number[] = [];
  const metadata = { 'khumbu-operation': 'logs-1' };
  const input = { bucket: BUCKET, key: 'a/big.tar.gz', body, ...type, metadata };
  const result = await store.putStream({ ...input, onProgress: (bytes) => progress.push(bytes) });
  t.equal(result.bytes, 40 * MIB);
  t.equal(progress.length, 5, 'one per part of 8 MiB');
  t.equal(progress.at(-1), 40 * MIB);
  const facts = await store.stat(BUCKET, 'a/big.tar.gz');
  t.match(facts, { bytes: 40 * MIB, etag: result.etag, metadata: { ...metadata, 'content-type': type.contentType } });
  const path = join(t.testdir(), 'back');
  await store.getToFile({ bucket: BUCKET, key: 'a/big.tar.gz', path });
  t.equal(sha256(await readFile(path)), sent());
  t.same(await server.unfinished(), []);
});

void t.test('small, empty and exactly one part: a plain put each', async (t) => {
  const methods: string[] = [];
  const { store } = await setUp(t, async (context, next) => {
    methods.push(context.method);
    await next();
  });
  for (const size of [0, 10, 8 * MIB]) {
    const body = Readable.from(size === 0 ? [] : [Buffer.alloc(size, 'x')], { objectMode: false });
    const result = await store.putStream({ bucket: BUCKET, key: `k${size}`, body, ...type, metadata: { a: 'b' } });
    t.equal(result.bytes, size);
    t.match(await store.stat(BUCKET, `k${size}`), { bytes: size, etag: result.etag, metadata: { a: 'b' } });
  }
  t.notOk(methods.includes('POST'), 'no multipart upload');
});

void t.test('files go up and come back; objects are removed; urls are signed', async (t) => {
  const { store } = await setUp(t);
  const path = join(t.testdir(), 'image');
  await writeFile(path, randomBytes(17 * MIB));
  await store.putFile({ bucket: BUCKET, key: 'image', path, ...type });
  await store.getToFile({ bucket: BUCKET, key: 'image', path: `${path}.back` });
  t.ok((await readFile(path)).equals(await readFile(`${path}.back`)));
  const url = await store.presignGet({ bucket: BUCKET, key: 'image' }, 60, 'a "b".tar.gz');
  const answer = await fetch(url);
  t.equal(answer.status, 200);
  t.equal(answer.headers.get('content-disposition'), 'attachment; filename="a _b_.tar.gz"');
  t.equal((await answer.arrayBuffer()).byteLength, 17 * MIB);
  await store.remove(BUCKET, 'image');
  await store.remove(BUCKET, 'image');
  t.equal(await store.stat(BUCKET, 'image'), undefined);
  await t.rejects(store.getToFile({ bucket: BUCKET, key: 'image', path: `${path}.no` }), { code: 'S3_NO_SUCH_KEY' });
  t.same((await readdir(t.testdirName)).sort(), ['image', 'image.back']);
  await store.ensureBucket('fresh');
  await store.ensureBucket('fresh');
  await store.putStream({ bucket: 'fresh', key: 'k', body: Readable.from(['x']), ...type });
});

void t.test('a small object goes from memory and comes into it, and only as it was put', async (t) => {
  let failures = 2;
  let method = 'PUT';
  const asked: string[] = [];
  const { store } = await setUp(t, async (context, next) => {
    asked.push(context.method);
    if (context.method !== method || failures === 0) return next();
    failures -= 1;
    context.status = 503;
  });
  const content = randomBytes(300_000);
  const { etag } = await store.putBytes({ bucket: BUCKET, key: 'piece', bytes: content, ...type });
  t.equal(etag, createHash('md5').update(content).digest('hex'));
  t.same(asked, ['PUT', 'PUT', 'PUT'], 'one request a try');
  t.match(await store.stat(BUCKET, 'piece'), { bytes: content.length, metadata: { 'content-type': type.contentType } });
  const aborted = { bucket: BUCKET, key: 'other', bytes: content, signal: AbortSignal.abort(), ...type };
  await t.rejects(store.putBytes(aborted), { code: 'ABORTED' });
  [method, failures] = ['GET', 2];
  const piece = { bucket: BUCKET, key: 'piece', bytes: content.length, sha256: sha256(content) };
  t.ok((await store.getBytes(piece)).equals(content), 'what fails for a moment is asked for again');
  const corrupt = { code: 'S3_CORRUPT' };
  await t.rejects(store.getBytes({ ...piece, sha256: sha256(Buffer.from('x')) }), corrupt);
  await t.rejects(store.getBytes({ ...piece, bytes: content.length - 1 }), corrupt);
  await t.rejects(store.getBytes({ ...piece, bytes: content.length + 1 }), { code: 'S3_UNAVAILABLE' });
  await t.rejects(store.getBytes({ ...piece, key: 'no' }), { code: 'S3_NO_SUCH_KEY' });
  await t.rejects(store.getBytes({ ...piece, signal: AbortSignal.abort() }), { code: 'ABORTED' });
});

void t.test('an abort midway leaves nothing', async (t) => {
  const { server, store } = await setUp(t);
  const abort = new AbortController();
  const { body } = noise(40, async (index) => {
    if (index < 20) return;
    abort.abort(new Error('superseded'));
    await new Promise(() => undefined);
  });
  const put = store.putStream({ bucket: BUCKET, key: 'k', body, ...type, signal: abort.signal });
  await t.rejects(put, { code: 'ABORTED', cause: { message: 'superseded' } });
  t.ok(body.destroyed);
  await assertNothingLeft(t, server, store, 'k');
  await t.rejects(
    store.putStream({ bucket: BUCKET, key: 'k', body: Readable.from(['x']), ...type, signal: abort.signal }),
    {
      code: 'ABORTED',
    },
  );
});

void t.test('an error of the source midway, or before anything is read, leaves nothing', async (t) => {
  const { server, store } = await setUp(t);
  const lost = Object.assign(new Error('station gone'), { code: 'STATION_UNREACHABLE' });
  const { body } = noise(40, (index) => {
    if (index === 20) throw lost;
  });
  await t.rejects(store.putStream({ bucket: BUCKET, key: 'k', body, ...type }), lost);
  await assertNothingLeft(t, server, store, 'k');
  const early = new Readable({ read: () => undefined });
  const put = store.putStream({ bucket: BUCKET, key: 'k', body: early, ...type });
  early.destroy(lost);
  await t.rejects(put, lost);
});

void t.test('a part that fails is tried again, one that keeps failing ends the upload', async (t) => {
  let failures = 2;
  const { server, store } = await setUp(t, async (context, next) => {
    if (context.query.partNumber !== '2' || failures === 0) return next();
    failures -= 1;
    context.status = 503;
    context.body = '<Error><Code>SlowDown</Code></Error>';
  });
  const { body, sha256: sent } = noise(20);
  await store.putStream({ bucket: BUCKET, key: 'k', body, ...type });
  const path = join(t.testdir(), 'back');
  await store.getToFile({ bucket: BUCKET, key: 'k', path });
  t.equal(sha256(await readFile(path)), sent());
  failures = 3;
  await t.rejects(store.putStream({ bucket: BUCKET, key: 'bad', body: noise(20).body, ...type }), {
    code: 'S3_UNAVAILABLE',
    retryable: true,
  });
  await assertNothingLeft(t, server, store, 'bad');
});

void t.test('a complete whose answer is lost counts, when the object is there', async (t) => {
  let completes = 0;
  const { store } = await setUp(t, async (context, next) => {
    if (context.method !== 'POST' || context.query.uploadId === undefined) return next();
    completes += 1;
    if (completes === 1) await next();
    context.status = completes === 1 ? 500 : 404;
    context.body = completes === 1 ? '' : '<Error><Code>NoSuchUpload</Code></Error>';
  });
  const result = await store.putStream({
    bucket: BUCKET,
    key: 'k',
    body: noise(9).body,
    ...type,
    metadata: { o: '1' },
  });
  t.equal(completes, 2);
  t.match(await store.stat(BUCKET, 'k'), { bytes: 9 * MIB, etag: result.etag });
});

void t.test('refusals have codes and no secrets', async (t) => {
  const { server, store } = await setUp(t);
  const wrong = storeAt(t, server.endpoint, { secret: 'wrong-secret' });
  for (const blocks of [1, 20]) {
    const denied = await wrong.putStream({ bucket: BUCKET, key: 'k', body: noise(blocks).body, ...type }).then(
      () => t.fail('must be denied'),
      (error: unknown) => error as Error,
    );
    t.match(denied, { code: 'S3_DENIED', retryable: false });
    t.notMatch(`${(denied as Error).message} ${JSON.stringify(denied)}`, /wrong-secret|S3RVER/);
    await t.rejects(store.putStream({ bucket: 'absent', key: 'k', body: noise(blocks).body, ...type }), {
      code: 'S3_NO_SUCH_BUCKET',
      retryable: false,
    });
  }
  await t.rejects(wrong.stat(BUCKET, 'k'), { code: 'S3_DENIED' });
  await t.rejects(store.putStream({ bucket: 'NOT A BUCKET', key: 'k', body: noise(20).body, ...type }), {
    code: 'S3_BAD_REQUEST',
  });
  await t.rejects(
    store.putStream({ bucket: BUCKET, key: 'k', body: noise(1).body, ...type, metadata: { a: 'b\r\nc' } }),
    { code: 'S3_BAD_REQUEST' },
  );
  t.throws(() => createObjectStore({ S3_REGION: 'r', S3_BUCKET: 'b' }), { code: 'CONFIG_INVALID' });
});

void t.test('statuses become codes', async (t) => {
  let status = 500;
  const { store } = await setUp(t, async (context) => {
    context.status = status;
  });
  for (const [next, code] of [
    [401, 'S3_DENIED'],
    [403, 'S3_DENIED'],
    [400, 'S3_BAD_REQUEST'],
    [405, 'S3_NOT_SUPPORTED'],
    [501, 'S3_NOT_SUPPORTED'],
    [503, 'S3_UNAVAILABLE'],
  ] as const) {
    status = next;
    await t.rejects(store.stat(BUCKET, 'k'), { code }, String(next));
  }
});

void t.test('a clock that is far off is no denial: it may be set right', async (t) => {
  const { store } = await setUp(t, async (context) => {
    context.status = 403;
    context.body = '<Error><Code>RequestTimeTooSkewed</Code></Error>';
  });
  await t.rejects(store.putStream({ bucket: BUCKET, key: 'k', body: noise(1).body, ...type }), {
    code: 'S3_UNAVAILABLE',
    retryable: true,
    message: /clock.*RequestTimeTooSkewed/,
  });
});

/** Leaves an upload with one part under each key, as a killed writer does; resolves with their ids. */
async function leaveUploads({ port }: S3Server, ...keys: string[]): Promise<string[]> {
  const account = { accessKey: 'S3RVER', secretKey: 'S3RVER', region: 'us-east-1' };
  const writer = new Client({ endPoint: '127.0.0.1', port, useSSL: false, ...account });
  const ids: string[] = [];
  for (const key of keys) {
    const uploadID = await writer.initiateNewMultipartUpload(BUCKET, key, {});
    const part = { bucketName: BUCKET, objectName: key, uploadID, partNumber: 1, headers: {} };
    await writer.uploadPart(part, Buffer.alloc(1000));
    ids.push(uploadID);
  }
  return ids;
}

void t.test('one upload is ended by its id, which is told before its first part', async (t) => {
  const { server, store } = await setUp(t);
  const [uploadId = ''] = await leaveUploads(server, 'logs/a', 'logs/a');
  await store.abortUpload({ bucket: BUCKET, key: 'logs/a', uploadId });
  t.equal((await server.unfinished()).length, 1);
  await store.abortUpload({ bucket: BUCKET, key: 'logs/a', uploadId });
  await t.rejects(storeAt(t, 'http://127.0.0.1:1').abortUpload({ bucket: BUCKET, key: 'logs/a', uploadId }), {
    code: 'S3_UNAVAILABLE',
  });

  const begun: string[] = [];
  const partsThen: number[] = [];
  const onInitiated = async (id: string): Promise<void> => {
    begun.push(id);
    const upload = (await server.unfinished()).find(({ key }) => key === 'big');
    partsThen.push(upload?.parts.length ?? -1);
  };
  await store.putStream({ bucket: BUCKET, key: 'small', body: noise(1).body, ...type, onInitiated });
  t.same(begun, [], 'what is put at once leaves nothing');
  await store.putStream({ bucket: BUCKET, key: 'big', body: noise(20).body, ...type, onInitiated });
  t.equal(begun.length, 1);
  t.same(partsThen, [0]);
});

void t.test('what killed writers left under a prefix long ago is ended', async (t) => {
  const { server, store } = await setUp(t);
  await leaveUploads(server, 'firmware/a', 'firmware/b', 'logs/a');
  t.equal(await store.abortUploadsBefore(BUCKET, 'firmware/', Date.now() - 3600_000), 0, 'they are young');
  t.equal(await store.abortUploadsBefore(BUCKET, 'firmware/', Date.now() + 3600_000), 2);
  t.match(await server.unfinished(), [{ key: 'logs/a' }]);
});

void t.test('what a killed writer left under a key is ended, and only that', async (t) => {
  const { server, store } = await setUp(t);
  await leaveUploads(server, 'logs/a', 'logs/a', 'logs/a.b');
  t.equal((await server.unfinished()).length, 3);
  t.equal(await store.abortStaleUploads(BUCKET, 'logs/a'), 2);
  t.match(await server.unfinished(), [{ key: 'logs/a.b', parts: ['1'] }]);
  t.equal(await store.abortStaleUploads(BUCKET, 'logs/a'), 0);
});

void t.test('a server that goes away or falls silent midway rejects soon', async (t) => {
  const { server } = await setUp(t);
  for (const way of ['shut', 'freeze'] as const) {
    const door = await startDoor(t, server.port);
    const store = storeAt(t, door.endpoint, { stallMs: STALL_MS });
    const { body } = noise(40, (index) => {
      if (index === 20) door[way]();
    });
    const begun = performance.now();
    await t.rejects(store.putStream({ bucket: BUCKET, key: way, body, ...type }), { code: 'S3_UNAVAILABLE' });
    // Three tries of the parts, and three to free them.
    t.ok(performance.now() - begun < 90_000, way);
  }
  // What could not be freed then is freed now.
  const store = storeAt(t, server.endpoint);
  const free = async (): Promise<number> =>
    (await store.abortStaleUploads(BUCKET, 'shut')) + (await store.abortStaleUploads(BUCKET, 'freeze'));
  // Of a beginning that was asked for again there may be two.
  t.ok((await free()) >= 2);
  t.equal(await free(), 0, 'nothing is left');
});

void t.test('a download goes on where it was cut, and starts anew when the object changed', async (t) => {
  let onRange: (() => Promise<unknown>) | undefined;
  const ranges: (string | undefined)[] = [];
  const { server, store } = await setUp(t, async (context, next) => {
    if (context.method === 'GET') ranges.push(context.headers.range);
    if (context.headers.range !== undefined) await onRange?.();
    await next();
  });
  const put = (content: Buffer) =>
    store.putStream({ bucket: BUCKET, key: 'k', body: Readable.from([content], { objectMode: false }), ...type });
  const path = join(t.testdir(), 'image');
  const door = await startDoor(t, server.port);
  const through = storeAt(t, door.endpoint);
  for (const replacement of [undefined, randomBytes(30 * MIB), randomBytes(12 * MIB)]) {
    const content = randomBytes(30 * MIB);
    await put(content);
    onRange = async () => {
      onRange = undefined;
      if (replacement !== undefined) await put(replacement);
    };
    ranges.length = 0;
    let cut = false;
    await through.getToFile({
      bucket: BUCKET,
      key: 'k',
      path,
      onProgress: (bytes) => {
        if (cut || bytes < 15 * MIB) return;
        cut = true;
        door.cut();
      },
    });
    t.ok((await readFile(path)).equals(replacement ?? content));
    t.match(ranges[1], /^bytes=(1[5-9]|2\d)\d{6}-$/);
    t.equal(ranges.length, replacement === undefined ? 2 : 3);
    t.same(await readdir(t.testdirName), ['image'], 'no temporary file');
  }
});

void t.test('a reader who pauses is waited for; a store that falls silent meanwhile is told', async (t) => {
  const { server, store } = await setUp(t);
  const content = randomBytes(12 * MIB);
  await store.putStream({ bucket: BUCKET, key: 'k', body: Readable.from([content], { objectMode: false }), ...type });
  const door = await startDoor(t, server.port);
  const through = storeAt(t, door.endpoint, { stallMs: STALL_MS });
  const range = { bucket: BUCKET, key: 'k', offset: 0, length: content.length };
  const pieces: Buffer[] = [];
  for await (const piece of (await through.read(range)) as AsyncIterable<Buffer>) {
    if (pieces.length === 10) await setTimeout(2.5 * STALL_MS);
    pieces.push(piece);
  }
  t.ok(Buffer.concat(pieces).equals(content));
  const rest = { ...range, offset: content.length - 5, length: 5 };
  t.ok((await buffer(await through.read(rest))).equals(content.subarray(-5)), 'and the next one finds no trace of it');

  const silent = async (): Promise<void> => {
    let isFirst = true;
    for await (const _piece of (await through.read(range)) as AsyncIterable<Buffer>) {
      if (isFirst) door.freeze();
      isFirst = false;
    }
  };
  await t.rejects(silent(), { message: /made no progress/ });
});

void t.test('a download that is aborted, or has no server, leaves the file as it was', async (t) => {
  const { server, store } = await setUp(t);
  await store.putStream({ bucket: BUCKET, key: 'k', body: noise(20).body, ...type });
  const path = join(t.testdir({ image: 'old' }), 'image');
  const abort = new AbortController();
  const input = { bucket: BUCKET, key: 'k', path };
  await t.rejects(store.getToFile({ ...input, signal: abort.signal, onProgress: () => abort.abort() }), {
    code: 'ABORTED',
  });
  const door = await startDoor(t, server.port);
  const through = storeAt(t, door.endpoint, { stallMs: STALL_MS });
  await t.rejects(through.getToFile({ ...input, onProgress: () => door.shut() }), { code: 'S3_UNAVAILABLE' });
  await t.rejects(store.getToFile({ ...input, path: join(t.testdirName, 'no', 'dir') }), { code: 'ENOENT' });
  t.equal(await readFile(path, 'utf8'), 'old');
  t.same(await readdir(t.testdirName), ['image']);
});
