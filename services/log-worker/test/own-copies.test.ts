/** The copy that the depot keeps of every upload: against a real S3 server, HTTP server and Redis. */
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { mock } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { createRetentionDate } from '@khumbu/operations/clock/retention-date';
import type { LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { createCopyRecords } from '@khumbu/operations/log-copies/copy-records';
import type { LogCopy } from '@khumbu/operations/log-copies/log-copy';
import type { CopyRules } from '@khumbu/operations/log-copies/settings';
import { keysFor } from '@khumbu/operations/records/keys';
import { newRecordBase } from '@khumbu/operations/records/record';
import { resolveUploadTarget } from '@khumbu/shared/locations/upload-location';
import { type Origin, startOrigin } from '@khumbu/test-support/origin';
import { openRedis } from '@khumbu/test-support/redis';
import { startS3 } from '@khumbu/test-support/s3';
import t, { type Test } from 'tap';
import { forgetCopies, overQuota } from '../src/copies/forget-copies.js';
import { copyToKeep, ownCopy } from '../src/copies/own-copies.js';
import { markSent, spoolPath } from '../src/upload/spool-file.js';
import { type UploadArchiveInput, uploadArchive } from '../src/upload/upload-archive.js';
import { BUCKET, madeBytes, PART_BYTES, storeAt, streamOf } from './made-archive.js';
import { loopback } from './put-file.js';

const DAY_MS = 24 * 3600_000;
const NOW = 1_800_000_000_000;
const RULES: CopyRules = { days: { DiagnosticsLog: 30, SecurityLog: 365 } };
const BYTES = madeBytes(PART_BYTES + 1000);

const directory = await mkdtemp(join(tmpdir(), 'khumbu-copies-'));
t.teardown(() => rm(directory, { recursive: true, force: true }));
const { redis } = await openRedis(t, join(directory, 'redis'));
let isDenied = (_line: string): boolean => false;
/** Parts wait for it. */
let held: Promise<void> | undefined;
interface Koa {
  readonly method: string;
  readonly url: string;
  status: number;
  body: string;
}
const server = await startS3({
  dir: join(directory, 's3'),
  bucket: BUCKET,
  middleware: async (context, next) => {
    const answer = context as Koa;
    if (answer.method === 'PUT') await held;
    if (!isDenied(`${answer.method} ${answer.url}`)) return next();
    answer.status = 403;
    answer.body = '<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>locked</Message></Error>';
  },
});
t.teardown(() => server.stop());
const objects = storeAt(server.endpoint);
t.teardown(() => objects.close());
let runs = 0;

function stage() {
  runs += 1;
  const keys = keysFor(`t${runs}`);
  const records = createCopyRecords(redis, keys);
  const spoolDir = join(directory, `spool-${runs}`);
  const id = (name: string): string => `log-${runs}-${name}`;
  const recordOf = (name: string, location: string, more: Partial<LogUploadRecord> = {}): LogUploadRecord => ({
    ...newRecordBase('log_upload', 'Uploading', {
      station: 'cs-1',
      origin: 'everest',
      requestId: 1,
      now: momentOf(NOW),
      id: id(name),
    }),
    request: { location, request_id: 1 },
    logType: 'DiagnosticsLog',
    fileName: 'x',
    announced: true,
    tries: 0,
    ...more,
  });
  const errors: unknown[] = [];
  const upload = (record: LogUploadRecord, more: Partial<UploadArchiveInput> = {}) => {
    const { location } = record.request;
    const target = resolveUploadTarget(location, `${record.id}.tar.gz`);
    if (target.kind === 'refused') throw new Error(target.reason);
    const deps = { records, rules: RULES, bucket: BUCKET };
    const copy = copyToKeep(record, target, deps);
    return uploadArchive({
      target,
      openArchive: async () => streamOf(BYTES),
      operationId: record.id,
      spoolDir,
      delivery: { partBytes: PART_BYTES },
      context: { policy: loopback, stallMs: 30_000, objects },
      signal: new AbortController().signal,
      ...(copy ? { copy: ownCopy(copy, deps) } : {}),
      onCopyError: (error) => void errors.push(error),
      ...more,
    });
  };
  const contentOf = async ({ bucket, key, bytes: length }: LogCopy): Promise<Buffer> =>
    buffer(await objects.read({ bucket, key, offset: 0, length }));
  const open = new Set<string>();
  const warnings: object[] = [];
  const forget = (date: number, rules: CopyRules = RULES): Promise<number> =>
    forgetCopies({
      records,
      objects,
      rules,
      isOpen: async (operationId) => open.has(operationId),
      date,
      log: { warn: (line: object) => void warnings.push(line) },
    });
  return { keys, records, recordOf, upload, contentOf, errors, forget, open, warnings, spoolDir };
}

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'nothing failed',
    (error: unknown) => error,
  );

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

async function origin(t: Test) {
  const web = await startOrigin({});
  t.teardown(() => web.close());
  return web;
}

void t.test('a copy is kept byte by byte, whether the target takes the archive or refuses it', async (t) => {
  const web = await origin(t);
  web.receive('/good', {});
  web.receive('/bad', { status: 403 });
  const { upload, recordOf, records, contentOf } = stage();
  const good = recordOf('good', `${web.url}/good/`);
  await upload(good);
  const bad = recordOf('bad', `${web.url}/bad/`);
  t.match(await failureOf(upload(bad)), { status: 'PermissionDenied' });
  for (const { id } of [good, bad]) {
    const kept = (await records.find(id)) as LogCopy;
    t.match(kept, { station: 'cs-1', bytes: BYTES.length, createdAt: NOW, sha256: /^[0-9a-f]{64}$/ });
    t.ok((await contentOf(kept)).equals(BYTES));
  }
  t.strictSame(await records.begun(), []);
});

/** What is sent to the store stays on its way, and clocks are set by hand, until the test ends, or what is returned is called. */
function holdStore(t: Test): () => void {
  let release = (): void => undefined;
  held = new Promise((resolve) => {
    release = resolve;
  });
  t.teardown(() => {
    held = undefined;
    release();
  });
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  return release;
}

/** As `awaitUntil`, which waits by the clock that is set by hand here. */
async function turnUntil(check: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 180_000;
  while (!(await check())) {
    if (performance.now() > end) throw new Error(`waited in vain: ${what}`);
    await nextTurn();
  }
}

/** Until the target has refused the archive, and its file is gone: it is not sent again. A look at the file alone may miss that it was there. */
async function untilRefused(web: Origin, spooled: string): Promise<void> {
  await turnUntil(() => web.uploads.items.some(({ status }) => status === 403), 'the archive to be refused');
  await turnUntil(async () => !(await isThere(spooled)), 'the spooled archive to be removed');
}

void t.test('a store that takes minutes has the copy, although the target has refused at once', async (t) => {
  const web = await origin(t);
  web.receive('/bad', { status: 403 });
  const { upload, recordOf, records, contentOf, errors, spoolDir } = stage();
  const release = holdStore(t);
  const record = recordOf('slow', `${web.url}/bad/`);
  const failing = failureOf(upload(record));
  await untilRefused(web, spoolPath(spoolDir, record.id));
  mock.timers.tick(30 * 60_000);
  mock.timers.reset();
  release();
  t.match(await failing, { status: 'PermissionDenied' });
  t.strictSame(errors, []);
  t.ok((await contentOf((await records.find(record.id)) as LogCopy)).equals(BYTES));
});

void t.test('a store that takes longer than an hour holds up neither the outcome nor the worker', async (t) => {
  const { upload, recordOf, records, errors, spoolDir } = stage();
  const web = await origin(t);
  web.receive('/bad', { status: 403 });
  holdStore(t);
  const record = recordOf('endless', `${web.url}/bad/`);
  let isOver = false;
  const failing = failureOf(upload(record)).finally(() => {
    isOver = true;
  });
  await untilRefused(web, spoolPath(spoolDir, record.id));
  t.notOk(isOver);
  // The hour may begin a little after the file has gone.
  await turnUntil(() => {
    mock.timers.tick(61 * 60_000);
    return isOver;
  }, 'the copy to be given up');
  mock.timers.reset();
  t.match(await failing, { status: 'PermissionDenied' });
  t.match(errors, [{ code: 'COPY_TOO_SLOW' }]);
  t.strictSame(await records.find(record.id), undefined);
});

void t.test(
  'an archive that goes to the own folder is its own copy; other places of the store are left alone',
  async (t) => {
    const { upload, recordOf, records } = stage();
    const own = recordOf('own', `s3://${BUCKET}/logs/cs-1/`);
    const before = server.requests.length;
    await upload(own);
    const kept = (await records.find(own.id)) as LogCopy;
    t.match(kept, { key: `logs/cs-1/${own.id}.tar.gz`, bytes: BYTES.length });
    const completed = server.requests.slice(before).filter((line) => /^POST .*uploadId=/.test(line));
    t.equal(completed.length, 1, 'it is there once');
    const elsewhere = recordOf('elsewhere', `s3://${BUCKET}/for-the-maker/`);
    await upload(elsewhere);
    t.equal(await records.find(elsewhere.id), undefined);
  },
);

void t.test('a store that is away does not change how the upload ends, and is told', async (t) => {
  const web = await origin(t);
  web.receive('/good', {});
  const { upload, recordOf, records, errors } = stage();
  server.failWith(403);
  t.teardown(() => server.failWith(undefined));
  const record = recordOf('alone', `${web.url}/good/`);
  t.same(await upload(record), { bytes: BYTES.length });
  t.equal(errors.length, 1);
  t.equal(await records.find(record.id), undefined);
  t.equal((await records.begun()).length, 1, 'it was noted before anything was sent');
});

void t.test(
  'a worker that was killed after the target had all: the next one keeps the copy and sends nothing',
  async (t) => {
    const web = await origin(t);
    web.receive('/good', {});
    const { upload, recordOf, records, contentOf, spoolDir } = stage();
    const record = recordOf('killed', `${web.url}/good/`);
    server.failWith(403);
    await upload(record);
    server.failWith(undefined);
    await markSent(spoolDir, record.id);
    t.same(await upload(record), { bytes: BYTES.length });
    t.equal(web.uploads.items.length, 1);
    t.ok((await contentOf((await records.find(record.id)) as LogCopy)).equals(BYTES));
  },
);

void t.test('what a killed worker left in the store is found by its note', async (t) => {
  const { upload, recordOf, records, forget, open } = stage();
  const whole = recordOf('whole', `s3://${BUCKET}/logs/cs-1/`);
  const never = recordOf('never', `s3://${BUCKET}/logs/cs-1/`);
  await upload(whole);
  const { bytes: _bytes, etag: _etag, sha256: _sha256, ...begun } = (await records.find(whole.id)) as LogCopy;
  await records.drop({ ...begun, bytes: BYTES.length, etag: '' });
  await records.begin(begun);
  await records.begin({ ...begun, operationId: never.id, key: 'logs/cs-1/never.tar.gz' });
  open.add(whole.id).add(never.id);
  await forget(NOW);
  t.equal((await records.begun()).length, 2, 'their operations may still go on');
  open.clear();
  await forget(NOW);
  t.strictSame(await records.begun(), []);
  t.match(await records.find(whole.id), { bytes: BYTES.length });
  t.equal(await records.find(never.id), undefined);
});

void t.test('copies go after their days, by type, while every target is down', async (t) => {
  const { upload, recordOf, records, forget } = stage();
  const nowhere = 'http://127.0.0.1:9/down/';
  const diagnostics = recordOf('diagnostics', nowhere);
  const security = recordOf('security', nowhere, { logType: 'SecurityLog' });
  for (const record of [diagnostics, security]) t.match(await failureOf(upload(record)), { status: 'UploadFailure' });
  const kept = (await records.find(diagnostics.id)) as LogCopy;
  t.equal(await forget(NOW + 30 * DAY_MS), 0, 'to the last millisecond');
  t.equal(await forget(NOW + 30 * DAY_MS + 1, { days: { DiagnosticsLog: 0, SecurityLog: 365 } }), 0, '0: none goes');
  t.equal(await forget(NOW + 30 * DAY_MS + 1), 1);
  t.equal(await objects.stat(kept.bucket, kept.key), undefined, 'its bytes are gone');
  t.equal(await records.find(diagnostics.id), undefined);
  t.ok(await records.find(security.id));
  t.equal(await forget(NOW + 366 * DAY_MS), 1);
});

void t.test('a clock that is a year ahead for some hours removes none', async (t) => {
  const { keys, upload, recordOf, records, forget } = stage();
  const record = recordOf('kept', `s3://${BUCKET}/logs/cs-1/`);
  await upload(record);
  let moment = momentOf(NOW);
  const retentionDate = createRetentionDate(redis, keys.retentionDate, () => moment);
  for (const [days, aheadDays, removed] of [
    [0, 0, 0],
    [0.1, 365, 0],
    [0.9, 365, 0],
    [1, 0, 0],
    [30.1, 0, 1],
  ] as const) {
    const monotonic = NOW + days * DAY_MS;
    moment = { monotonic, wall: monotonic + aheadDays * DAY_MS };
    t.equal(await forget(await retentionDate()), removed, `after ${days} days`);
  }
  t.equal(await records.find(record.id), undefined);
});

void t.test('a store that is away keeps them until it is back; what took the place of one stays', async (t) => {
  const { upload, recordOf, records, forget } = stage();
  const record = recordOf('own', `s3://${BUCKET}/logs/cs-1/same.tar.gz`);
  await upload(record);
  server.failWith(503);
  await t.rejects(forget(NOW + 31 * DAY_MS), { code: 'S3_UNAVAILABLE' });
  server.failWith(undefined);
  t.ok(await records.find(record.id));
  await upload(recordOf('other', `s3://${BUCKET}/logs/cs-1/same.tar.gz`, { createdAt: NOW + 31 * DAY_MS }));
  t.equal(await forget(NOW + 31 * DAY_MS), 1);
  t.ok(await objects.stat(BUCKET, 'logs/cs-1/same.tar.gz'), 'it is the archive of another operation');
});

void t.test('one that the store does not let go keeps none of the others', async (t) => {
  const { upload, recordOf, records, forget, warnings } = stage();
  for (const name of ['locked', 'free']) await upload(recordOf(name, `s3://${BUCKET}/logs/cs-1/`));
  isDenied = (line) => line.startsWith('DELETE') && line.includes('locked');
  t.teardown(() => {
    isDenied = () => false;
  });
  t.equal(await forget(NOW + 31 * DAY_MS), 1);
  t.match(warnings, [{ operationId: /locked/ }]);
  t.equal((await records.page({}, 10)).copies.length, 1);
});

void t.test('beyond the quota the oldest go, those of type SecurityLog last', async (t) => {
  const { upload, recordOf, records, forget } = stage();
  for (const [name, logType, age] of [
    ['s-old', 'SecurityLog', 3],
    ['d-old', 'DiagnosticsLog', 2],
    ['d-new', 'DiagnosticsLog', 1],
  ] as const)
    await upload(recordOf(name, `s3://${BUCKET}/logs/cs-1/`, { logType, createdAt: NOW - age }));
  const left = async (): Promise<string[]> =>
    (await records.page({}, 10)).copies.map(({ operationId }) => operationId.replace(/^log-\d+-/, ''));
  const quota = (quotaBytes: number): CopyRules => ({ ...RULES, quotaBytes });
  t.equal(await forget(NOW, quota(3 * BYTES.length)), 0);
  t.equal(await forget(NOW, quota(3 * BYTES.length - 1)), 1);
  t.strictSame(await left(), ['d-new', 's-old']);
  t.equal(await forget(NOW, quota(BYTES.length)), 1);
  t.strictSame(await left(), ['s-old']);
  t.equal(await forget(NOW, quota(1)), 1);
  t.strictSame(await left(), []);
  const of = (bytes: number) => ({ bytes }) as LogCopy;
  t.strictSame(overQuota([of(5), of(5), of(5)], 6), [of(5), of(5)]);
});
