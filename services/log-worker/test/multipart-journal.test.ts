import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createObjectStore } from '@khumbu/object-store/object-store';
import { StoreError } from '@khumbu/object-store/store-error';
import { makeFolder } from '@khumbu/shared/runtime/folders';
import { startS3 } from '@khumbu/test-support/s3';
import t, { type Test } from 'tap';
import { addToJournal, sweepJournal } from '../src/upload/multipart-journal.js';
import { uploadArchive } from '../src/upload/upload-archive.js';
import { loopback } from './put-file.js';

const PIECE = Buffer.alloc(9 * 1024 * 1024);
const BUCKET = 'depot';
const isOver = async (): Promise<boolean> => false;

async function directory(test: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'khumbu-multipart-'));
  test.teardown(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

function warnings() {
  const heard: object[] = [];
  return { heard, log: { warn: (fields: object) => void heard.push(fields) } };
}

async function stage(test: Test) {
  const server = await startS3({ dir: await directory(test), bucket: BUCKET });
  test.teardown(() => server.stop());
  // This server neither ends uploads nor lists them; a success without a body is all there is to the first answer.
  server.failWith(204, (line) => /^DELETE .*[?&]uploadId=/.test(line));
  const real = createObjectStore({
    S3_ENDPOINT: server.endpoint,
    S3_REGION: 'us-east-1',
    S3_ACCESS_KEY: 'S3RVER',
    S3_SECRET_KEY: 'S3RVER',
    S3_BUCKET: BUCKET,
  });
  test.teardown(() => real.close());
  const objectStore = { ...real, abortStaleUploads: async () => 1 };
  const spoolDir = await directory(test);
  const upload = (body: () => AsyncIterable<Buffer>): Promise<unknown> =>
    uploadArchive({
      target: { kind: 's3', bucket: BUCKET, key: 'logs/a', fileName: 'a' },
      openArchive: async () => Readable.from(body(), { objectMode: false }),
      operationId: 'log-1',
      context: { policy: loopback, stallMs: 30_000, objects: objectStore },
      signal: new AbortController().signal,
      spoolDir,
    });
  return {
    server,
    objectStore,
    spoolDir,
    upload,
    remembered: () => readdir(join(spoolDir, 'logs')),
    /** Ids of uploads that the store was told to end. */
    ended: () => server.requests.flatMap((line) => /^DELETE .*[?&]uploadId=([^&]+)/.exec(line)?.[1] ?? []),
  };
}

void t.test('an upload in parts is remembered while it goes on', async (t) => {
  const { upload, remembered, ended } = await stage(t);
  let meanwhile: string[] = [];
  await upload(async function* () {
    yield PIECE;
    yield PIECE;
    meanwhile = await remembered();
    yield PIECE;
  });
  t.match(meanwhile, [/^log-1\.[0-9a-f]{32}\.begun$/]);
  t.same(await remembered(), []);
  t.same(ended(), []);
});

void t.test('what was ended when it failed is not remembered', async (t) => {
  const { upload, remembered, ended } = await stage(t);
  const failed = upload(async function* () {
    yield PIECE;
    yield PIECE;
    throw Object.assign(new Error('the station is gone'), { code: 'STATION_UNREACHABLE' });
  });
  await t.rejects(failed, { cause: { code: 'STATION_UNREACHABLE' } });
  t.equal(ended().length, 1);
  t.same(await remembered(), []);
});

void t.test('the next try ends what a killed one left, and forgets it', async (t) => {
  const { upload, spoolDir, remembered } = await stage(t);
  await addToJournal(spoolDir, 'log-1', { bucket: BUCKET, key: 'logs/a', uploadId: 'of-the-killed-one' });
  await addToJournal(spoolDir, 'log-10', { bucket: BUCKET, key: 'logs/b', uploadId: 'u' });
  await upload(async function* () {
    yield PIECE;
  });
  t.match(await remembered(), [/^log-10\./], 'and nothing of another operation');
  await addToJournal(spoolDir, 'log-1', { bucket: BUCKET, key: 'logs/a', uploadId: 'of-one-killed-at-its-end' });
  await upload(() => t.fail('it is there already') as never);
  t.match(await remembered(), [/^log-10\./]);
});

void t.test('what could not be ended when it failed is ended once its operation is over', async (t) => {
  const { upload, server, spoolDir, objectStore, remembered, ended } = await stage(t);
  const { heard, log } = warnings();
  const failed = upload(async function* () {
    yield PIECE;
    yield PIECE;
    await server.stop();
    throw Object.assign(new Error('the station is gone'), { code: 'STATION_UNREACHABLE' });
  });
  await t.rejects(failed, { cause: { code: 'STATION_UNREACHABLE' } });
  await t.rejects(sweepJournal({ spoolDir, objectStore, log, isOpen: isOver }), { code: 'S3_UNAVAILABLE' });
  const [name = ''] = await remembered();
  const { uploadId } = JSON.parse(await readFile(join(spoolDir, 'logs', name), 'utf8')) as { uploadId: string };
  await server.restart();
  t.equal(await sweepJournal({ spoolDir, objectStore, log, isOpen: async () => true }), 0, 'another try may be at it');
  t.same(ended(), []);
  t.equal(await sweepJournal({ spoolDir, objectStore, log, isOpen: isOver }), 1);
  t.same(ended(), [uploadId], 'the very upload that had begun');
  t.same(await remembered(), []);
  t.equal(await sweepJournal({ spoolDir, objectStore, log, isOpen: isOver }), 0);
  t.same(heard, []);
});

void t.test('what will never be ended is told once', async (t) => {
  const spoolDir = await directory(t);
  const { heard, log } = warnings();
  const denied = async (): Promise<void> => Promise.reject(new StoreError('S3_DENIED', 'denied'));
  const sweep = () => sweepJournal({ spoolDir, objectStore: { abortUpload: denied }, isOpen: isOver, log });
  t.equal(await sweep(), 0, 'a spool without a folder yet');
  await addToJournal(spoolDir, 'log-1', { bucket: BUCKET, key: 'k', uploadId: 'u' });
  for (let times = 0; times < 2; times++) t.equal(await sweep(), 0);
  t.match(heard, [{ operationId: 'log-1', reason: 'denied' }]);
  t.equal(heard.length, 1);
});

void t.test('a file that was not written to its end stands for nothing', async (t) => {
  const spoolDir = await directory(t);
  const { log } = warnings();
  await makeFolder(join(spoolDir, 'logs'));
  await writeFile(join(spoolDir, 'logs', `log-1.${'0'.repeat(32)}.begun`), '{"buck');
  const objectStore = { abortUpload: async (): Promise<void> => t.fail('there is none') as never };
  t.equal(await sweepJournal({ spoolDir, objectStore, isOpen: isOver, log }), 0);
  t.same(await readdir(join(spoolDir, 'logs')), []);
});
