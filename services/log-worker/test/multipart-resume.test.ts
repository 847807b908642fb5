/** An upload in parts that did not come to its end, and the next try. */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { multipartUploads, unfinishedUploads } from '@khumbu/embedded-run/multipart-uploads';
import { STOPPING } from '@khumbu/operations/jobs/job-loop';
import { keysFor } from '@khumbu/operations/records/keys';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';
import { openRedis } from '@khumbu/test-support/redis';
import { startS3 } from '@khumbu/test-support/s3';
import t, { type Test } from 'tap';
import { sweepJournal } from '../src/upload/multipart-journal.js';
import { createSharedJournal } from '../src/upload/shared-journal.js';
import { type UploadArchiveInput, uploadArchive } from '../src/upload/upload-archive.js';
import { BUCKET, KEY, MIB, madeBytes, PART_BYTES, storeAt, streamOf, TARGET } from './made-archive.js';
import { loopback } from './put-file.js';

const PARTS = 6;
const BYTES = madeBytes(PARTS * PART_BYTES - MIB);
const AT_ONCE = 2;
const PATIENCE_MS = 60_000;

const directory = await mkdtemp(join(tmpdir(), 'khumbu-resume-'));
t.teardown(() => rm(directory, { recursive: true, force: true }));
const { server: redisServer, redis } = await openRedis(t, join(directory, 'redis'));
let spools = 0;

async function stage(test: Test) {
  const dir = join(directory, `s3-${spools}`);
  const server = await startS3({ dir, bucket: BUCKET, middleware: multipartUploads(dir) as never });
  test.teardown(() => server.stop());
  const objects = storeAt(server.endpoint);
  test.teardown(() => objects.close());
  await redis.flushall();
  const shared = createSharedJournal(redis, keysFor('test'));
  const run = (more: Partial<UploadArchiveInput> & { bytes?: Buffer } = {}) => {
    const { bytes = BYTES, ...rest } = more;
    return uploadArchive({
      target: TARGET,
      openArchive: async () => streamOf(bytes),
      operationId: 'log-1',
      // Of another worker each.
      spoolDir: join(directory, `spool-${++spools}`),
      shared,
      delivery: { partBytes: PART_BYTES },
      context: { policy: loopback, stallMs: 30_000, objects },
      signal: new AbortController().signal,
      ...rest,
    });
  };
  const numbers = (): number[] =>
    server.requests
      .map((line) => /^PUT .*[?&]partNumber=(\d+)/.exec(line)?.[1])
      .filter((number) => number !== undefined)
      .map(Number);
  const partsSent = (): number => numbers().length;
  /** Which parts have come since then. One that was on its way when its upload failed may come late. */
  const partsSince = (before: number): number[] => [...new Set(numbers().slice(before))].toSorted((a, b) => a - b);
  const stored = async (): Promise<Buffer> =>
    buffer(
      await objects.read({
        bucket: BUCKET,
        key: KEY,
        offset: 0,
        length: (await objects.stat(BUCKET, KEY))?.bytes ?? 0,
      }),
    );
  return {
    server,
    objects,
    shared,
    run,
    partsSent,
    partsSince,
    stored,
    unfinished: () => unfinishedUploads(dir, BUCKET),
    /** So many parts are there of an upload that then failed for now. */
    async leaveParts(count: number, more: Parameters<typeof run>[0] = {}): Promise<void> {
      server.failWith(503, (line) => Number(/[?&]partNumber=(\d+)/.exec(line)?.[1]) > count);
      await test.rejects(run(more), { code: 'UPLOAD_FAILED', reason: 's3_unavailable', retryable: true });
      server.failWith(undefined);
    },
  };
}
type Stage = Awaited<ReturnType<typeof stage>>;

async function assertWhole(test: Test, { stored, unfinished, shared }: Stage, bytes = BYTES): Promise<void> {
  test.ok((await stored()).equals(bytes), 'the object is the archive, byte by byte');
  test.same(await unfinished(), [], 'no parts are left');
  test.same(await shared.all(), [], 'nothing is noted any more');
}

void t.test('a worker that was killed: another one, with another spool, goes on from its parts', async (t) => {
  const s = await stage(t);
  const child = fileURLToPath(new URL('upload-child.js', import.meta.url));
  const spool = join(directory, 'spool-killed');
  const args = [child, s.server.endpoint, spool, redisServer.url, String(BYTES.length)];
  const worker = await startChild(process.execPath, args);
  await awaitUntil(() => s.partsSent() >= PARTS / 2, PATIENCE_MS, 'half of the parts');
  worker.process.kill('SIGKILL');
  await worker.exited;
  rmSync(spool, { recursive: true, force: true });
  const progress: number[] = [];
  t.equal((await s.run({ onProgress: (bytes) => progress.push(bytes) })).bytes, BYTES.length);
  t.ok(s.partsSent() <= PARTS + AT_ONCE, `${s.partsSent()} parts were sent of ${PARTS}`);
  t.equal(progress.at(-1), BYTES.length);
  await assertWhole(t, s);
});

void t.test('a store that fails for now keeps the parts; only the rest is sent then', async (t) => {
  const s = await stage(t);
  await s.leaveParts(4);
  t.match(await s.unfinished(), [{ key: KEY }]);
  const before = s.partsSent();
  await s.run();
  // Another one may have been under way still when one had failed for good.
  const again = s.partsSince(before);
  t.same(
    again.filter((part) => part > 4),
    [5, 6],
  );
  t.ok(again.length <= 2 + AT_ONCE - 1, `${again.join()} were sent`);
  await assertWhole(t, s);
});

void t.test('parts of other content, or of another size, are sent again', async (t) => {
  const s = await stage(t);
  await s.leaveParts(5);
  const moved = Buffer.concat([BYTES.subarray(0, 2 * PART_BYTES + 10), madeBytes(3 * PART_BYTES, 2)]);
  await s.run({ bytes: moved });
  await assertWhole(t, s, moved);

  const other = await stage(t);
  await other.leaveParts(3);
  await other.run({ delivery: { partBytes: 6 * MIB } });
  await assertWhole(t, other);

  const small = await stage(t);
  await small.leaveParts(3);
  await small.run({ bytes: BYTES.subarray(0, 1000) });
  await assertWhole(t, small, BYTES.subarray(0, 1000));
});

void t.test('an upload that is gone, or was begun otherwise, is begun anew', async (t) => {
  const s = await stage(t);
  await s.leaveParts(3);
  const [noted] = await s.shared.all();
  if (!noted) return t.fail('it is noted');
  await s.objects.abortUpload(noted.upload);
  await s.run();
  await assertWhole(t, s);

  const other = await stage(t);
  await other.leaveParts(3);
  const before = other.partsSent();
  const tags = { delivery: { partBytes: PART_BYTES, protection: { tags: { site: 'north' } } } };
  await t.rejects(other.run(tags), { code: 'UPLOAD_FAILED', status: 'NotSupportedOperation' });
  t.same(other.partsSince(before), [1, 2, 3, 4, 5, 6], 'without tags nothing of it could be used');
  t.same(await other.unfinished(), []);
});

void t.test('a worker that stops leaves its parts to the next one; who cancels leaves none', async (t) => {
  for (const [reason, left] of [
    [new CodedError(STOPPING, 'shutdown'), 1],
    [new CodedError('ABORTED', 'canceled'), 0],
  ] as const) {
    const s = await stage(t);
    const abort = new AbortController();
    const openArchive = async () =>
      streamOf(BYTES, async (before) => {
        if (before < 4 * PART_BYTES) return;
        await awaitUntil(() => s.partsSent() >= 3, PATIENCE_MS, 'parts');
        abort.abort(reason);
      });
    await t.rejects(s.run({ signal: abort.signal, openArchive }), { code: 'ABORTED' });
    await awaitUntil(async () => (await s.unfinished()).length === left, PATIENCE_MS, `${left} uploads to be left`);
    await awaitUntil(async () => (await s.shared.all()).length === left, PATIENCE_MS, 'the journal to say so');
    if (left === 0) continue;
    await s.run();
    await assertWhole(t, s);
  }
});

void t.test('what a worker has left for good is ended by any other one, once the operation is over', async (t) => {
  const s = await stage(t);
  await s.leaveParts(3);
  const sweep = (isOpen: boolean) =>
    sweepJournal({
      spoolDir: join(directory, 'spool-of-none'),
      shared: s.shared,
      objectStore: s.objects,
      isOpen: async () => isOpen,
      log: { warn: () => t.fail('nothing stays') },
    });
  t.equal(await sweep(true), 0);
  t.equal((await s.unfinished()).length, 1);
  t.equal(await sweep(false), 1);
  t.same(await s.unfinished(), []);
  t.same(await s.shared.all(), []);
});
