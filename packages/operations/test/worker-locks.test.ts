import { join } from 'node:path';
import type { Step } from '@khumbu/operations/jobs/job-loop';
import type { CodedError } from '@khumbu/shared/runtime/errors';
import { startChild } from '@khumbu/test-support/children';
import { awaitUntil, collector } from '@khumbu/test-support/events';
import t from 'tap';
import { depot, HOUR, redis, server, uploaded, WAIT_MS } from './depot-stage.js';
import { logRecord } from './make-records.js';

void t.test('a killed worker: another one takes its job', async (t) => {
  const { prefix, put, load, work, jobs, store } = await depot(t);
  const child = await startChild(process.execPath, [join(import.meta.dirname, 'worker-child.js')], {
    env: { ...process.env, REDIS_URL: server.url, KEY_PREFIX: prefix },
  });
  t.teardown(() => child.end('SIGKILL'));
  const record = await put(logRecord({ state: 'Uploading' }));
  await jobs.ensure(record);
  await awaitUntil(() => child.stdout().includes(`begun ${record.id}`), WAIT_MS, 'the child to begin');
  await child.end('SIGKILL');
  work('log-uploads', { upload: (upload, { commit }) => commit(store.transaction().put(uploaded(upload))) }, 1000);
  await awaitUntil(async () => (await load(record.id)).endedAt, WAIT_MS, 'the other worker');
  t.match(await load(record.id), { state: 'Uploaded', version: 2 });
});

void t.test('a killed worker whose lock would live for an hour: the clock of Redis was set back', async (t) => {
  const { put, load, work, jobs, store } = await depot(t);
  const key = `${store.keys.jobs}:log-uploads`;
  const record = await put(logRecord({ state: 'Uploading' }));
  await jobs.ensure(record);
  // As the worker left it: the job is active and no worker has it.
  await redis.rpoplpush(`${key}:wait`, `${key}:active`);
  await redis.set(`${key}:${record.id}.upload.1:lock`, 'dead', 'PX', HOUR);
  await redis.set(`${key}:stalled-check`, 'x', 'PX', HOUR);
  work('log-uploads', { upload: (upload, { commit }) => commit(store.transaction().put(uploaded(upload))) }, 1000);
  await awaitUntil(async () => (await load(record.id)).endedAt, WAIT_MS, 'the other worker');
  t.match(await load(record.id), { state: 'Uploaded', version: 2 });
});

void t.test('a jump of the clock: what runs is aborted and begins anew under another lock', async (t) => {
  const { put, load, work, jobs, store } = await depot(t);
  const begun = collector<string>();
  const worker = work('log-uploads', {
    upload: async (record, { signal, commit }) => {
      begun.push(`run ${record.run}`);
      if (record.run > 1) return commit(store.transaction().put(uploaded(record)));
      await new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    },
  });
  const record = await put(logRecord({ state: 'Uploading' }));
  await jobs.ensure(record);
  await begun.awaitItem((run) => run === 'run 1', WAIT_MS, 'the first run');
  worker.beginAnew();
  await awaitUntil(async () => (await load(record.id)).endedAt, WAIT_MS, 'the second run');
  t.same(begun.items, ['run 1', 'run 2']);
  t.equal((await load(record.id)).faults, undefined, 'no fault of anybody');
});

void t.test('a lost lock: both run, one commits', async (t) => {
  const { put, load, work, jobs, store } = await depot(t);
  const events = collector<string>();
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let runs = 0;
  // The first run does not listen to its signal, as one frozen in the middle of a call.
  const step: Step = async (record, { commit, signal }) => {
    runs += 1;
    if (runs === 1) {
      signal.addEventListener('abort', () => events.push(`first: ${(signal.reason as Error).message}`));
      events.push('first begun');
      await gate;
      try {
        await commit(store.transaction().put({ ...uploaded(record), sizeBytes: 1 }));
      } catch (error) {
        events.push(`first: ${(error as CodedError).code}`);
        throw error;
      }
      return;
    }
    await commit(store.transaction().put({ ...uploaded(record), sizeBytes: 2 }));
    events.push('second done');
  };
  work('log-uploads', { upload: step }, 1000);
  const record = await put(logRecord({ state: 'Uploading' }));
  await jobs.ensure(record);
  await events.awaitAll((all) => all.includes('first begun'), WAIT_MS, 'the first run');
  await redis.del(`${store.keys.jobs}:log-uploads:${record.id}.upload.1:lock`);
  work('log-uploads', { upload: step }, 1000);
  await events.awaitAll(
    (all) => all.includes('second done') && all.length >= 3,
    WAIT_MS,
    'the second run and the abort of the first',
  );
  t.ok(
    events.items.some((event) => /^first: (lock lost|canceled|.*lock.*)$/i.test(event)),
    'the first hears that it lost its lock',
  );
  release();
  await events.awaitItem((event) => event === 'first: CONFLICT', WAIT_MS, 'the late commit');
  t.match(await load(record.id), { sizeBytes: 2, version: 2 });
});

void t.test('a step that fails after its lock was lost leaves the record to the other worker', async (t) => {
  const { put, load, work, jobs, store } = await depot(t);
  const events = collector<string>();
  const step: Step = async (record, { isOurs }) => {
    events.push(`ours: ${await isOurs()}`);
    // The lock runs out while this process stands still, and BullMQ has not noticed yet.
    await redis.del(`${store.keys.jobs}:log-uploads:${record.id}.upload.1:lock`);
    events.push(`ours: ${await isOurs()}`);
    throw new Error('the connection broke meanwhile');
  };
  const worker = work('log-uploads', { upload: step }, 30_000);
  const record = await put(logRecord({ state: 'Uploading' }));
  await jobs.ensure(record);
  await events.awaitAll((all) => all.length === 2, WAIT_MS, 'the run');
  t.same(events.items, ['ours: true', 'ours: false']);
  await worker.stop();
  const left = await load(record.id);
  t.equal(left.version, 1, 'no fault is stored');
  t.equal(left.faults, undefined);
});
