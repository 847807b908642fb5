import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcp, type LookupFunction, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { createObjectStore, type ObjectStore } from '@khumbu/object-store/object-store';
import { LOCK_LOST } from '@khumbu/operations/jobs/job-loop';
import { isArchiveOf } from '@khumbu/operations/kinds/log-upload/archive-object';
import type { LogStatusEnum } from '@khumbu/shared/contract/schemas';
import { resolveUploadTarget, type UploadTarget } from '@khumbu/shared/locations/upload-location';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { awaitUntil } from '@khumbu/test-support/events';
import { startOrigin } from '@khumbu/test-support/origin';
import { startS3 } from '@khumbu/test-support/s3';
import { mountSmallDisk } from '@khumbu/test-support/small-disk';
import { uploadStatusOf } from '@khumbu/transfer/faults/fault-table';
import type { TransferContext } from '@khumbu/transfer/port';
import t, { type Test } from 'tap';
import type { UploadError } from '../src/upload/failure-status.js';
import { removeSpooled, spoolArchive, sweepSpool } from '../src/upload/spool-file.js';
import { type SentArchive, type UploadArchiveInput, uploadArchive } from '../src/upload/upload-archive.js';
import { loopback } from './put-file.js';

const MIB = 1024 * 1024;
const SMALL = Buffer.from('an archive');

async function directory(test: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'khumbu-upload-'));
  test.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const targetOf = (location: string): UploadTarget => {
  const target = resolveUploadTarget(location, 'logs.tar.gz');
  if (target.kind === 'refused') throw new Error(target.reason);
  return target;
};

interface More extends Partial<Omit<UploadArchiveInput, 'context'>> {
  readonly objectStore?: ObjectStore;
  readonly http?: Partial<TransferContext>;
}

/** One upload of `bytes`, and how often the archive was opened. */
async function uploading(
  test: Test,
  location: string,
  bytes: Buffer,
  { objectStore, http, ...more }: More = {},
): Promise<{ run: () => Promise<SentArchive>; opened: () => number; spoolDir: string }> {
  const spoolDir = await directory(test);
  let opened = 0;
  const openArchive = async () => {
    opened += 1;
    return Readable.from([bytes], { objectMode: false });
  };
  const context: TransferContext = { policy: loopback, stallMs: 30_000, objects: objectStore, ...http };
  const { signal } = new AbortController();
  const input = { target: targetOf(location), openArchive, operationId: 'log-1', spoolDir, context, signal };
  return { run: () => uploadArchive({ ...input, ...more }), opened: () => opened, spoolDir };
}

const spooled = (spoolDir: string): Promise<string[]> => readdir(join(spoolDir, 'logs'));

async function failureOf(work: Promise<unknown>): Promise<UploadError> {
  return work.then(
    () => {
      throw new Error('must fail');
    },
    (error: unknown) => error as UploadError,
  );
}

async function origin(test: Test, options?: Parameters<typeof startOrigin>[0]) {
  const server = await startOrigin(options);
  test.teardown(() => server.close());
  return server;
}

/** A TCP server that does with each connection what it is told. */
async function rawServer(test: Test, onSocket: (socket: Socket) => void): Promise<string> {
  const sockets: Socket[] = [];
  const server = createTcp((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  test.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

void t.test('http: the file arrives whole, named, typed, with basic auth, once', async (t) => {
  const server = await origin(t);
  server.receive('/logs', { auth: { user: 'us er', password: 'p@ss' } });
  const bytes = randomBytes(5 * MIB);
  const progress: number[] = [];
  const location = `${server.url.replace('//', '//us%20er:p%40ss@')}/logs/?token=1`;
  const { run, spoolDir } = await uploading(t, location, bytes, { onProgress: (sent) => progress.push(sent) });
  t.same(await run(), { bytes: bytes.length });
  const [upload] = server.uploads.items;
  t.match(upload, {
    method: 'PUT',
    url: '/logs/logs.tar.gz?token=1',
    status: 201,
    headers: { 'content-type': 'application/gzip', 'content-length': String(bytes.length), expect: '100-continue' },
  });
  t.ok(upload?.body.equals(bytes));
  t.equal(progress.at(-1), bytes.length);
  t.same(await run(), { bytes: bytes.length }, 'a run that knows nothing of the first');
  t.equal(server.uploads.items.length, 1);
  await removeSpooled(spoolDir, 'log-1');
  t.same(await spooled(spoolDir), []);
});

void t.test('http: who has lost the job leaves the archive to the one who has it', async (t) => {
  const abort = new AbortController();
  const taken = new CodedError(LOCK_LOST, 'lock lost');
  const silent = await rawServer(t, (socket) => socket.once('data', () => abort.abort(taken)));
  const { run, spoolDir } = await uploading(t, `${silent}/x`, SMALL, { signal: abort.signal });
  await t.rejects(run(), { code: 'ABORTED' });
  t.same(await spooled(spoolDir), ['log-1.tar.gz']);
});

void t.test('http: what each answer means', async (t) => {
  const server = await origin(t);
  const table: readonly (readonly [LogStatusEnum, boolean, readonly number[]])[] = [
    ['PermissionDenied', false, [401, 403, 407]],
    ['BadMessage', false, [400, 406, 409, 411, 412, 413, 415, 418, 422, 431]],
    ['NotSupportedOperation', false, [405, 501, 505]],
    ['UploadFailure', true, [301, 302, 307, 308, 404, 408, 425, 429, 500, 502, 503, 507]],
  ];
  for (const [status, retryable, codes] of table) {
    for (const code of codes) {
      server.receive('/x', { status: code });
      const { run, spoolDir } = await uploading(t, `${server.url.replace('//', '//who:hush@')}/x`, SMALL);
      const error = await failureOf(run());
      t.match(error, { code: 'UPLOAD_FAILED', status, retryable, reason: `http_${code}` }, String(code));
      t.notMatch(`${error.message} ${JSON.stringify(error)} ${String(error.cause)}`, /who|hush|d2hvOmh1c2g/);
      t.same(await spooled(spoolDir), retryable ? ['log-1.tar.gz'] : []);
    }
  }
  for (const code of [200, 201, 204]) {
    server.receive('/x', { status: code });
    t.same(await (await uploading(t, `${server.url}/x`, SMALL)).run(), { bytes: SMALL.length }, String(code));
  }
});

void t.test('http: redirects are not followed', async (t) => {
  const server = await origin(t);
  server.receive('/elsewhere');
  server.receive('/from', { redirect: `${server.url}/elsewhere`, status: 307 });
  const { run } = await uploading(t, `${server.url}/from`, SMALL);
  t.match(await failureOf(run()), { status: 'UploadFailure', reason: 'http_307' });
  t.same(
    server.requests.items.map(({ path }) => path),
    ['/from'],
  );
});

void t.test(
  'http: a refusal before the body, a server that knows no 100-continue, and one that hates it',
  async (t) => {
    let received = 0;
    const refusing = createServer();
    refusing.on('checkContinue', (request, response) => {
      request.on('data', (chunk: Buffer) => {
        received += chunk.length;
      });
      response.writeHead(401).end();
    });
    const hating = createServer();
    hating.on('checkContinue', (_request, response) => response.writeHead(417).end());
    let body = Buffer.alloc(0);
    hating.on('request', (request, response) => {
      buffer(request).then(
        (received) => {
          body = received;
          response.writeHead(200).end();
        },
        () => response.destroy(),
      );
    });
    for (const server of [refusing, hating]) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      t.teardown(() => server.close());
    }
    const url = (server: typeof hating) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
    const bytes = randomBytes(2 * MIB);
    t.match(await failureOf((await uploading(t, url(refusing), bytes)).run()), { status: 'PermissionDenied' });
    t.equal(received, 0, 'no body was sent in vain');
    await (await uploading(t, url(hating), bytes)).run();
    t.ok(body.equals(bytes));

    const silent = await rawServer(t, (socket) => {
      let head = '';
      let missing = bytes.length;
      socket.on('data', (chunk) => {
        const seen = head.includes('\r\n\r\n');
        if (!seen) head += chunk.toString('latin1');
        missing -= seen ? chunk.length : Math.max(0, head.length - head.indexOf('\r\n\r\n') - 4);
        if (missing === 0) socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      });
    });
    t.same(await (await uploading(t, `${silent}/x`, bytes)).run(), { bytes: bytes.length });
  },
);

void t.test('http: cut, stalled, absent, untrusted and forbidden servers are failures that may pass', async (t) => {
  const bytes = randomBytes(4 * MIB);
  const cutting = await rawServer(t, (socket) => {
    socket.once('data', () => socket.destroy());
  });
  const silent = await rawServer(t, (socket) => socket.pause());
  const secure = await origin(t, { tlsDir: await directory(t) });
  secure.receive('/x');
  const gone = createTcp().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const absent = `http://127.0.0.1:${(gone.address() as AddressInfo).port}`;
  gone.close();
  await once(gone, 'close');
  const forbidding: LookupFunction = (_host, _options, done) =>
    done(Object.assign(new Error('the address is forbidden'), { code: 'LOCATION_ADDRESS_FORBIDDEN' }), '', 4);
  const cases: readonly (readonly [string, RegExp, More])[] = [
    [cutting, /ECONNRESET|EPIPE|hang up/, {}],
    [silent, /no progress for 200 ms/, { http: { stallMs: 200 } }],
    [absent, /ECONNREFUSED/, {}],
    [secure.url, /self-signed/, {}],
    ['http://logs.example', /forbidden/, { http: { policy: { ...loopback, lookupFor: () => forbidding } } }],
  ];
  for (const [url, text, more] of cases) {
    const { run, opened } = await uploading(t, `${url}/x`, bytes, more);
    t.match(await failureOf(run()), { status: 'UploadFailure', retryable: true, reason: 'connection', text }, url);
    t.match(await failureOf(run()), { status: 'UploadFailure' });
    t.equal(opened(), 1, 'the next try sends the spooled file');
  }
  const { run } = await uploading(t, `${secure.url}/x`, bytes, { http: { ca: secure.caPem as string } });
  t.same(await run(), { bytes: bytes.length });
});

void t.test('an abort ends an upload at once and leaves no file', async (t) => {
  const abort = new AbortController();
  const silent = await rawServer(t, (socket) => socket.once('data', () => abort.abort(new Error('superseded'))));
  const { run, spoolDir } = await uploading(t, `${silent}/x`, SMALL, { signal: abort.signal });
  await t.rejects(run(), { code: 'ABORTED', cause: { message: 'superseded' } });
  // What takes longer than half a second to be tidied up is so behind the end of the upload.
  await awaitUntil(async () => (await spooled(spoolDir)).length === 0, 20_000, 'the spooled archive to be removed');
  t.same(await spooled(spoolDir), []);
});

void t.test('an archive that fails is a failed upload', async (t) => {
  const server = await origin(t);
  server.receive('/x');
  const failing = async () =>
    Readable.from(
      (async function* () {
        yield SMALL;
        throw Object.assign(new Error('the station is gone'), { code: 'STATION_UNREACHABLE' });
      })(),
      { objectMode: false },
    );
  const { run, spoolDir } = await uploading(t, `${server.url}/x`, SMALL, { openArchive: failing });
  t.match(await failureOf(run()), { status: 'UploadFailure', retryable: true, cause: { code: 'STATION_UNREACHABLE' } });
  t.same(await spooled(spoolDir), []);
  t.equal(server.requests.items.length, 0);
});

void t.test('a spool that turns read-only changes nothing about what a server has answered', async (t) => {
  const spoolDir = join(await directory(t), 'disk');
  const disk = await mountSmallDisk(t, spoolDir, 512 * MIB);
  if (!disk) return t.comment('this user may not mount');
  let asked = 0;
  for (const [status, expected] of [
    [201, { bytes: SMALL.length }],
    [403, { status: 'PermissionDenied', reason: 'http_403', retryable: false }],
  ] as const) {
    const url = await rawServer(t, (socket) =>
      socket.once('data', () => {
        asked += 1;
        execFileSync('mount', ['-o', 'remount,ro', spoolDir]);
        socket.end(`HTTP/1.1 ${status} Said\r\ncontent-length: 0\r\n\r\n`);
      }),
    );
    const troubles: unknown[] = [];
    const { run } = await uploading(t, `${url}/x`, SMALL, {
      spoolDir,
      operationId: `log-${status}`,
      onSpoolError: (error) => troubles.push(error),
    });
    t.match(await run().catch((error: unknown) => error), expected, String(status));
    t.match(troubles, [{ code: 'EROFS' }], 'somebody hears of what could not be tidied');
    await disk.readOnly(false);
  }
  t.equal(asked, 2, 'each was sent once');
  t.equal(await sweepSpool(spoolDir, async () => false), 2, 'what stayed is swept');
});

void t.test('what a killed worker left of an archive goes with the archive', async (t) => {
  const spoolDir = await directory(t);
  await removeSpooled(spoolDir, 'log-1');
  const archive = Readable.from([SMALL], { objectMode: false });
  await spoolArchive({ archive, spoolDir, operationId: 'log-1' });
  await writeFile(join(spoolDir, 'logs', 'log-1.tar.gz.0a1b.part'), 'x');
  await writeFile(join(spoolDir, 'logs', 'log-10.tar.gz.0a1b.part'), 'x');
  await removeSpooled(spoolDir, 'log-1');
  t.same(await spooled(spoolDir), ['log-10.tar.gz.0a1b.part'], 'and nothing of another one');
});

void t.test('s3: stored with our mark; a repeat does nothing; refusals are told apart', async (t) => {
  const server = await startS3({ dir: await directory(t), bucket: 'depot' });
  t.teardown(() => server.stop());
  const storeWith = (secret: string) => {
    const store = createObjectStore({
      S3_ENDPOINT: server.endpoint,
      S3_REGION: 'us-east-1',
      S3_ACCESS_KEY: 'S3RVER',
      S3_SECRET_KEY: secret,
      S3_BUCKET: 'depot',
    });
    t.teardown(() => store.close());
    return store;
  };
  const objectStore = storeWith('S3RVER');
  const bytes = randomBytes(20 * MIB);
  const { run, opened } = await uploading(t, 's3://depot/cs-1/', bytes, { objectStore });
  t.equal((await run()).bytes, bytes.length);
  t.match(await objectStore.stat('depot', 'cs-1/logs.tar.gz'), {
    bytes: bytes.length,
    metadata: { 'khumbu-operation': 'log-1', 'content-type': 'application/gzip' },
  });
  t.equal((await run()).bytes, bytes.length);
  t.equal(opened(), 1);
  const other = await uploading(t, 's3://depot/cs-1/', SMALL, { objectStore, operationId: 'log-2' });
  t.equal((await other.run()).bytes, SMALL.length, 'another operation replaces it');

  const denied = await uploading(t, 's3://depot/x', bytes, { objectStore: storeWith('hush') });
  const error = await failureOf(denied.run());
  t.match(error, { code: 'UPLOAD_FAILED', status: 'PermissionDenied', reason: 's3_denied', retryable: false });
  t.notMatch(`${error.message} ${JSON.stringify(error)}`, /hush/);
  const nowhere = await uploading(t, 's3://absent/x', bytes, { objectStore });
  t.match(await failureOf(nowhere.run()), { status: 'UploadFailure', retryable: true });
  t.match(await failureOf((await uploading(t, 's3://depot/x', SMALL)).run()), { status: 'NotSupportedOperation' });
  for (const reason of ['s3_bad_request', 's3_wrong_region', 's3_wrong_endpoint', 's3_quota'] as const)
    t.equal(uploadStatusOf(reason, 's3'), 'UploadFailure', 'the message is not to blame for our own store');
});

void t.test('s3: what is wrong with the store or its settings is no fault of the message', async (t) => {
  const says: Record<string, [number, string, object]> = {
    'another region': [400, 'AuthorizationHeaderMalformed', { reason: 's3_wrong_region', text: /S3_REGION/ }],
    moved: [301, 'PermanentRedirect', { reason: 's3_wrong_endpoint', text: /S3_ENDPOINT/ }],
    quota: [403, 'QuotaExceeded', { reason: 's3_quota', retryable: true }],
    clock: [403, 'RequestTimeTooSkewed', { reason: 's3_unavailable', retryable: true, text: /clock/ }],
    unknown: [400, 'Teapot', { reason: 's3_bad_request', retryable: false }],
  };
  for (const [name, [status, code, expected]] of Object.entries(says)) {
    const body = `<Error><Code>${code}</Code></Error>`;
    const endpoint = await rawServer(t, (socket) => {
      socket.once('data', () => {
        socket.end(`HTTP/1.1 ${status} X\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`);
      });
    });
    const account = { S3_REGION: 'us-east-1', S3_ACCESS_KEY: 'a', S3_SECRET_KEY: 'b', S3_BUCKET: 'depot' };
    const objectStore = createObjectStore({ S3_ENDPOINT: endpoint, ...account });
    t.teardown(() => objectStore.close());
    const { run } = await uploading(t, 's3://depot/cs-1/', SMALL, { objectStore });
    t.match(await failureOf(run()), { status: 'UploadFailure', ...expected }, name);
  }
});

void t.test('s3: the archive is noted with its hash, whole or in parts, found again or not', async (t) => {
  const server = await startS3({ dir: await directory(t), bucket: 'depot' });
  t.teardown(() => server.stop());
  const account = { S3_REGION: server.region, S3_ACCESS_KEY: server.accessKey, S3_SECRET_KEY: server.secretKey };
  const objectStore = createObjectStore({ S3_ENDPOINT: server.endpoint, S3_BUCKET: 'depot', ...account });
  t.teardown(() => objectStore.close());
  for (const [name, bytes] of [
    ['whole', SMALL],
    ['parts', randomBytes(9 * MIB)],
  ] as const) {
    const operationId = `log-${name}`;
    const { run } = await uploading(t, `s3://depot/logs/${name}`, bytes, { objectStore, operationId });
    const { archive: first } = await run();
    const { archive: again } = await run();
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    t.match(first, { bucket: 'depot', key: `logs/${name}`, etag: /^\w/, sha256 }, name);
    t.equal(again?.etag, first?.etag);
    const seen = await objectStore.stat('depot', `logs/${name}`);
    if (!seen) throw new Error('it is not there');
    const record = { id: operationId, sizeBytes: bytes.length, ...(first ? { archive: first } : {}) };
    t.ok(isArchiveOf(record, seen));
    t.equal(seen.metadata['khumbu-sha256'], name === 'whole' ? sha256 : undefined);
  }
});

void t.test('the spool: whole files alone, room on the disk, swept', async (t) => {
  const spoolDir = await directory(t);
  t.equal(await sweepSpool(spoolDir, async () => false), 0);
  const archive = () => Readable.from([SMALL], { objectMode: false });
  await spoolArchive({ archive: archive(), spoolDir, operationId: 'open' });
  await spoolArchive({ archive: archive(), spoolDir, operationId: 'over' });
  await writeFile(join(spoolDir, 'logs', 'over.tar.gz.0a1b.part'), 'x');
  await t.rejects(spoolArchive({ archive: archive(), spoolDir, operationId: 'big', minFreeBytes: 2 ** 60 }), {
    code: 'SPOOL_FULL',
  });
  await t.rejects(spoolArchive({ archive: archive(), spoolDir, operationId: '../x' }));
  t.same((await spooled(spoolDir)).sort(), ['open.tar.gz', 'over.tar.gz', 'over.tar.gz.0a1b.part']);
  t.equal(await sweepSpool(spoolDir, async (id) => id === 'open'), 2);
  t.same(await spooled(spoolDir), ['open.tar.gz']);
});
