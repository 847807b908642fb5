import { join } from 'node:path';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { expectedJob, type QueueName, waitOf } from '@khumbu/operations/jobs/expected-job';
import type { Step } from '@khumbu/operations/jobs/job-loop';
import { createJobs, type Jobs } from '@khumbu/operations/jobs/jobs';
import { type RunningWorker, startWorker } from '@khumbu/operations/jobs/worker';
import { joinFetch, newFetch } from '@khumbu/operations/kinds/firmware-fetch/record';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { applyLogEvent, type LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { type OfferedRecord, offer } from '@khumbu/operations/kinds/offer';
import { tellSystemTime } from '@khumbu/operations/kinds/set-system-time/record';
import { createStore, type Store } from '@khumbu/operations/kinds/store';
import { createReconciler } from '@khumbu/operations/reconciler/reconciler';
import { slotField } from '@khumbu/operations/records/keys';
import { type Notifications, subscribeNotifications } from '@khumbu/operations/records/notifications';
import { ended, inState } from '@khumbu/operations/records/record';
import type { CodedError } from '@khumbu/shared/runtime/errors';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { startChild } from '@khumbu/test-support/children';
import { awaitUntil, collector, within } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import { logRecord, networkRecord, resetRecord, updateRecord } from './make-records.js';

const WAIT_MS = 15_000;
const HOUR = 3600_000;
const moment = () => momentOf(Date.now());
const iso = (at: number): string => new Date(at).toISOString();
const server = await startRedis({ dir: t.testdir({}) });
const log = createLogger('test', 'silent');
const connect = (): Redis => new Redis(server.url, { maxRetriesPerRequest: null });
const redis = connect();
t.teardown(async () => {
  redis.disconnect();
  await server.stop();
});

interface Depot {
  readonly prefix: string;
  readonly store: Store;
  readonly jobs: Jobs;
  readonly notifications: Notifications;
  readonly queue: (name: QueueName) => Queue;
  readonly put: <R extends OperationRecord>(record: R) => Promise<R>;
  readonly load: <R extends OperationRecord>(id: string) => Promise<R>;
  readonly work: (queue: QueueName, steps: Record<string, Step>, lockMs?: number) => RunningWorker;
}

let count = 0;
async function depot(t: Test): Promise<Depot> {
  const prefix = `t${++count}`;
  const store = createStore(redis, prefix);
  const jobs = createJobs(redis, store.keys, moment);
  const notifications = await subscribeNotifications(connect(), store.keys);
  const queues: Queue[] = [];
  const workers: RunningWorker[] = [];
  t.teardown(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    notifications.close();
    await Promise.all([jobs.close(), ...queues.map((queue) => queue.close())]);
  });
  const load = async <R extends OperationRecord>(id: string): Promise<R> => (await store.load(id)) as R;
  return {
    prefix,
    store,
    jobs,
    notifications,
    load,
    queue(name) {
      const queue = new Queue(name, { connection: redis, prefix: store.keys.jobs });
      queues.push(queue);
      return queue;
    },
    async put(record) {
      if (!(await store.commit(store.transaction().put(record)))) throw new Error('not stored');
      return load(record.id);
    },
    work(queue, steps, lockMs = 10_000) {
      const worker = startWorker({
        queue,
        steps,
        redis,
        store,
        jobs,
        notifications,
        log,
        now: moment,
        concurrency: 4,
        lockMs,
      });
      workers.push(worker);
      return worker;
    },
  };
}

const uploaded = (record: OperationRecord): LogUploadRecord =>
  applyLogEvent(record as LogUploadRecord, 'uploaded', { now: moment(), dialect: 'unknown' }).record;

void t.test('the job a record wants', async (t) => {
  const now = Date.now();
  const at = momentOf(now);
  const later = {
    location: 'x',
    request_id: 7,
    retrieve_timestamp: iso(now + HOUR),
    install_timestamp: iso(now + 2 * HOUR),
  };
  const fetch = { id: 'f', generation: 1 };
  const permission = { bootEpoch: 1, at: now, by: 'everest' } as const;
  const free = { permissionNeeded: false } as const;
  const fetching = joinFetch(newFetch('f', 'x', at), 'op', 'x', at).fetch;
  const clock = tellSystemTime(undefined, 'cp1', { value: 1, toldAtRedisMs: 1, origin: 'rest' }, at);
  const cases: [string, OperationRecord, string | undefined][] = [
    ['offered', updateRecord(), undefined],
    ['accepted', updateRecord({ state: 'Accepted' }), 'firmware-updates download'],
    ['accepted for later', updateRecord({ state: 'Accepted', request: later }), 'firmware-updates download +1h'],
    ['scheduled', updateRecord({ state: 'DownloadScheduled', request: later }), 'firmware-updates download +1h'],
    ['waits for a fetch', updateRecord({ state: 'Downloading', fetch }), undefined],
    [
      'between two tries',
      updateRecord({ state: 'Downloading', notBefore: now + HOUR }),
      'firmware-updates download +1h',
    ],
    ['to be verified', updateRecord({ state: 'Downloaded', signed: true }), 'firmware-updates download'],
    [
      'to be verified, allowed early',
      updateRecord({ state: 'Downloaded', signed: true, permission }),
      'firmware-updates download',
    ],
    ['waits for permission', updateRecord({ state: 'Downloaded' }), undefined],
    ['allowed', updateRecord({ state: 'Downloaded', permission }), 'firmware-updates install'],
    ['needs no permission', updateRecord({ state: 'Downloaded', ...free }), 'firmware-updates install'],
    ['waits for permission', updateRecord({ state: 'SignatureVerified', signed: true }), undefined],
    ['allowed', updateRecord({ state: 'SignatureVerified', signed: true, permission }), 'firmware-updates install'],
    ['waits for both', updateRecord({ state: 'InstallScheduled', request: later }), undefined],
    [
      'waits for its time',
      updateRecord({ state: 'InstallScheduled', request: later, permission }),
      'firmware-updates install +2h',
    ],
    [
      'put off',
      updateRecord({ state: 'InstallScheduled', ...free, notBefore: now + HOUR }),
      'firmware-updates install +1h',
    ],
    ['installing', updateRecord({ state: 'Installing', request: later }), 'firmware-updates install'],
    ['rebooting', updateRecord({ state: 'InstallRebooting' }), 'firmware-updates confirm'],
    [
      'ended, slot kept',
      ended(updateRecord({ state: 'InstallationFailed', slotHeld: true }), at, { ok: false }),
      'firmware-updates confirm',
    ],
    ...(
      [
        'Installed',
        'DownloadFailed',
        'InvalidSignature',
        'InstallVerificationFailed',
        'InstallationFailed',
        'Superseded',
        'Canceled',
        'Withdrawn',
      ] as const
    ).map((state): [string, OperationRecord, undefined] => [
      state,
      ended(updateRecord({ state, permission }), at, { ok: false }),
      undefined,
    ]),
    ['at rest', updateRecord({ state: 'Accepted', heldFor: 'other' }), undefined],
    ['log offered', logRecord(), undefined],
    ['log accepted', logRecord({ state: 'Accepted' }), 'log-uploads upload'],
    ['log uploading', logRecord({ state: 'Uploading', notBefore: now + HOUR }), 'log-uploads upload +1h'],
    ['log ended', logRecord({ state: 'Uploaded', endedAt: now }), undefined],
    ['reset accepted', resetRecord(), 'system-control reset'],
    ['resetting', resetRecord({ state: 'Resetting' }), 'system-control reset'],
    ['reset out of time', resetRecord({ state: 'Failed', endedAt: now, slotHeld: true }), 'system-control reset'],
    ['reset failed', resetRecord({ state: 'Failed', endedAt: now }), undefined],
    ['restarting', resetRecord({ state: 'Restarting' }), undefined],
    ['restarted', resetRecord({ state: 'Restarted', endedAt: now }), undefined],
    ['network offered', networkRecord(), undefined],
    ['network accepted', networkRecord({ state: 'Accepted' }), 'system-control configure-network'],
    ['network ready', networkRecord({ state: 'Ready', endedAt: now }), undefined],
    ['clock', clock, 'system-control set-system-time'],
    ['clock done', ended({ ...clock, state: 'Done' }, at, { ok: true }), undefined],
    ['fetch at rest', newFetch('f', 'x', at), undefined],
    ['fetching', fetching, 'firmware-fetches fetch'],
    ['delivering', { ...fetching, state: 'Delivering' }, 'firmware-fetches fetch'],
  ];
  for (const [what, record, wanted] of cases) {
    const job = expectedJob(record);
    const hours = job ? Math.round(waitOf(job, at) / HOUR) : 0;
    t.equal(job && `${job.queue} ${job.name}${hours > 0 ? ` +${hours}h` : ''}`, wanted, `${what} (${record.state})`);
    if (job) {
      t.equal(job.jobId, `${record.id}.${job.name}.${record.run}`);
      t.notMatch(job.jobId, /:|^\d+$/, 'fit for BullMQ');
    }
  }
});

void t.test('a wanted job is there once', async (t) => {
  const { jobs, queue } = await depot(t);
  const uploads = queue('log-uploads');
  const record = logRecord({ state: 'Accepted' });
  await Promise.all([jobs.ensure(record), jobs.ensure(record)]);
  await jobs.ensure(record);
  t.equal(await jobs.reconcile(record), undefined);
  t.same(
    (await uploads.getJobs()).map(({ name, data, id }) => [name, data, id]),
    [['upload', { operationId: record.id }, `${record.id}.upload.1`]],
  );
  await jobs.ensure(logRecord());
  await jobs.ensure({ ...record, heldFor: 'x' });
  t.equal((await uploads.getJobs()).length, 1);
});

void t.test('the worker loop', async (t) => {
  await t.test('does step after step, hands over to another job, and does not see what has ended', async (t) => {
    const { put, load, work, jobs, queue, store } = await depot(t);
    const steps = collector<string>();
    const context = { dialect: 'unknown', bootEpoch: 1 } as const;
    const apply = (record: OperationRecord, event: Parameters<typeof applyUpdateEvent>[1]) =>
      applyUpdateEvent(record as FirmwareUpdateRecord, event, { ...context, now: moment() }).record;
    const does =
      (
        event:
          | Parameters<typeof applyUpdateEvent>[1]
          | ((record: OperationRecord) => Parameters<typeof applyUpdateEvent>[1]),
      ): Step =>
      async (record, { commit }) => {
        steps.push(record.state);
        await commit(store.transaction().put(apply(record, typeof event === 'string' ? event : event(record))));
      };
    work('firmware-updates', {
      download: does('signatureGood'),
      install: does(({ state }) => (state === 'SignatureVerified' ? 'installBegun' : 'rebootNeeded')),
      confirm: does('proved'),
    });
    const record = await put(updateRecord({ state: 'Downloaded', signed: true, permissionNeeded: false }));
    await jobs.ensure(record);
    await awaitUntil(async () => (await load(record.id)).endedAt, WAIT_MS, 'the end of the update');
    t.same(steps.items, ['Downloaded', 'SignatureVerified', 'Installing', 'InstallRebooting']);
    const updates = queue('firmware-updates');
    await awaitUntil(
      async () => (await updates.getJobCountByTypes('active', 'waiting', 'delayed', 'completed', 'failed')) === 0,
      WAIT_MS,
      'no job to be left',
    );
  });

  await t.test('waits until what was put off is due', async (t) => {
    const { put, load, work, jobs, store } = await depot(t);
    const times: number[] = [];
    work('log-uploads', {
      upload: async (record, { commit }) => {
        times.push(Date.now());
        if (times.length === 1) {
          await commit(store.transaction().put({ ...record, run: record.run + 1, notBefore: Date.now() + 1500 }));
        } else await commit(store.transaction().put(uploaded(record)));
      },
    });
    const record = await put(logRecord({ state: 'Uploading' }));
    await jobs.ensure(record);
    await awaitUntil(async () => (await load(record.id)).endedAt, WAIT_MS, 'the second run');
    const [first = 0, second = 0] = times;
    t.ok(second - first >= 1495, `not ${second - first} ms later`);
    t.equal(times.length, 2);
  });

  await t.test('a job that is too early for its record is put to its time', async (t) => {
    const { put, load, work, jobs, queue } = await depot(t);
    const started: string[] = [];
    const record = await put(logRecord({ state: 'Uploading' }));
    await jobs.ensure(record);
    await put({ ...record, notBefore: Date.now() + HOUR });
    work('log-uploads', { upload: async ({ id }) => void started.push(id) });
    const uploads = queue('log-uploads');
    const moved = await awaitUntil(async () => (await uploads.getDelayed())[0], WAIT_MS, 'a delayed job');
    t.equal(moved.id, `${record.id}.upload.2`);
    t.match(await load(record.id), { run: 2 });
    t.same(started, []);
  });

  await t.test('reads again what has moved on', async (t) => {
    const { put, load, work, jobs, store } = await depot(t);
    const versions: number[] = [];
    work('log-uploads', {
      upload: async (record, { commit }) => {
        versions.push(record.version);
        if (versions.length === 1) await store.commit(store.transaction().put({ ...record, waitingFor: 'reset' }));
        await commit(store.transaction().put(uploaded(record)));
      },
    });
    const record = await put(logRecord({ state: 'Uploading' }));
    await jobs.ensure(record);
    await awaitUntil(async () => (await load(record.id)).endedAt, WAIT_MS, 'the upload');
    t.same(versions, [1, 2]);
    t.match(await load(record.id), { version: 3, faults: undefined });
  });

  await t.test('keeps a record that met a surprise, says why, and goes on later', async (t) => {
    for (const [what, surprise] of [
      ['an error', new Error('cannot reach http://u:p@h/?k')],
      ['an abort that nobody asked for', Object.assign(new Error('cannot reach http://h/'), { name: 'AbortError' })],
    ] as const) {
      const { put, load, work, jobs, store } = await depot(t);
      let times = 0;
      work('log-uploads', {
        upload: async (record, { commit }) => {
          times += 1;
          if (times < 3) throw surprise;
          await commit(store.transaction().put(uploaded(record)));
        },
      });
      const record = await put(logRecord({ state: 'Uploading' }));
      const begun = Date.now();
      await jobs.ensure(record);
      const put1 = await awaitUntil(
        async () => {
          const now = await load(record.id);
          return now.faults === 1 && now;
        },
        WAIT_MS,
        'the first surprise',
      );
      t.match(put1, { waitingFor: 'error: cannot reach http://h/', run: 2, state: 'Uploading' }, what);
      await awaitUntil(async () => (await load(record.id)).endedAt, WAIT_MS, 'the third run');
      t.ok(Date.now() - begun >= 1400, 'with growing pauses');
      t.equal(times, 3, what);
      t.match(await load(record.id), { faults: undefined, waitingFor: undefined });
    }
  });

  await t.test('a hint ends the work on an operation and on no other', async (t) => {
    const { put, load, work, jobs, store } = await depot(t);
    const events = collector<string>();
    work('log-uploads', {
      upload: async (record, { signal }) => {
        events.push(`begun ${record.id}`);
        await new Promise<void>((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            events.push(`aborted ${record.id} ${(signal.reason as CodedError).message}`);
            reject(signal.reason as Error);
          });
        });
      },
    });
    for (const id of ['log-upload-a', 'log-upload-b'])
      await jobs.ensure(await put(logRecord({ id, state: 'Uploading' })));
    await events.awaitAll((all) => all.length === 2, WAIT_MS, 'both to begin');
    const record = await load<LogUploadRecord>('log-upload-a');
    const canceled = ended(inState(record, 'Canceled', moment()), moment(), { ok: false });
    await store.commit(store.transaction().put(canceled).notifyCancel(record.id));
    t.equal(
      await events.awaitItem((event) => event.startsWith('aborted'), WAIT_MS, 'the abort'),
      'aborted log-upload-a canceled',
    );
    t.match(await load('log-upload-a'), { state: 'Canceled', faults: undefined });
  });

  await t.test('stops without taking the work for failed', async (t) => {
    const { put, load, work, jobs, store } = await depot(t);
    const begun = collector<string>();
    const first = work('log-uploads', {
      upload: async (_record, { signal }) => {
        begun.push('first');
        await new Promise<void>((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        });
      },
    });
    const record = await put(logRecord({ state: 'Uploading' }));
    await jobs.ensure(record);
    await begun.awaitAll((all) => all.length === 1, WAIT_MS, 'the first worker');
    await within(first.stop(), WAIT_MS, 'the first worker to stop');
    t.match(await load(record.id), { version: 1, faults: undefined });
    t.equal(await jobs.reconcile(record), 'added');
    work('log-uploads', { upload: (upload, { commit }) => commit(store.transaction().put(uploaded(upload))) });
    await awaitUntil(async () => (await load(record.id)).endedAt, WAIT_MS, 'the next worker');
  });

  await t.test('does not turn for ever around a step that does nothing', async (t) => {
    const { put, work, jobs, queue } = await depot(t);
    let times = 0;
    work('log-uploads', { upload: async () => void times++ });
    await jobs.ensure(await put(logRecord({ state: 'Uploading' })));
    const uploads = queue('log-uploads');
    await awaitUntil(
      async () => times > 1 && (await uploads.getJobCountByTypes('active', 'waiting')) === 0,
      WAIT_MS,
      'the job to end',
    );
    t.equal(times, 60);
  });
});

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
  // As the worker left it: the job is active and nobody works on it.
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

void t.test('the reconciler', async (t) => {
  const directory = { profileOf: () => undefined, configured: () => [], close: () => undefined };
  const ago = { createdAt: Date.now() - HOUR, updatedAt: Date.now() - HOUR };
  const setup = async (t: Test) => {
    const parts = await depot(t);
    const reconciler = createReconciler({ ...parts, directory, now: moment, log });
    const jobIds = async (queue: QueueName) =>
      (await parts.queue(queue).getJobs()).map(({ id = '' }) => id).toSorted((a, b) => a.localeCompare(b));
    const said = async () =>
      (await parts.store.outboxEntries('cp1')).map(({ operationId, payload }) => {
        const { firmware_update_status, log_status, status } = payload as Record<string, string>;
        return `${operationId} ${firmware_update_status ?? log_status ?? status}`;
      });
    return { ...parts, look: () => reconciler.round(new AbortController().signal), jobIds, said };
  };
  const station = (store: Store, fields: Record<string, string>) => redis.hset(store.keys.station('cp1'), fields);

  await t.test('adds the job that is not there, once what was just made had its time', async (t) => {
    const { put, look, jobIds } = await setup(t);
    await put(logRecord({ id: 'old', state: 'Accepted', ...ago }));
    await put(logRecord({ id: 'young', state: 'Accepted', createdAt: Date.now(), updatedAt: Date.now() }));
    await put(logRecord({ id: 'future', state: 'Accepted', updatedAt: Date.now() + HOUR }));
    await look();
    t.same(await jobIds('log-uploads'), ['future.upload.1', 'old.upload.1'], 'a clock that went back delays nothing');
    await look();
    t.equal((await jobIds('log-uploads')).length, 2);
  });

  await t.test('stops between two records when told to', async (t) => {
    const parts = await depot(t);
    await parts.put(logRecord({ state: 'Accepted', ...ago }));
    await createReconciler({ ...parts, directory, now: moment, log }).round(AbortSignal.abort());
    t.equal((await parts.queue('log-uploads').getJobs()).length, 0);
  });

  await t.test('begins a job that is due and that BullMQ would keep waiting', async (t) => {
    const { put, jobs, queue } = await setup(t);
    const at = (time: number) => ({ location: 'x', request_id: 7, retrieve_timestamp: iso(time) });
    const record = await put(updateRecord({ state: 'DownloadScheduled', request: at(Date.now() + HOUR), ...ago }));
    await jobs.ensure(record);
    const updates = queue('firmware-updates');
    t.equal(await jobs.reconcile(record), undefined, 'not due');
    t.equal(await jobs.reconcile({ ...record, request: at(Date.now() - 500) }), undefined, 'BullMQ is about to do it');
    t.equal((await updates.getDelayed()).length, 1);
    const due = { ...record, request: at(Date.now() - HOUR) };
    t.equal(await jobs.reconcile(due), 'promoted');
    t.equal((await updates.getDelayed()).length, 0);
    t.equal((await updates.getWaiting()).length, 1);
    t.equal(await jobs.reconcile(due), undefined, 'once is enough');
  });

  await t.test('ends offers that nobody confirmed, and lets what rested for them go on', async (t) => {
    const { put, load, store, look, jobIds, said } = await setup(t);
    await put(updateRecord({ id: 'old', state: 'Accepted', ...ago }));
    const next = updateRecord({ id: 'next', supersedes: 'old', answerKey: 'k', deadlineAt: Date.now() - 1 });
    t.ok(await store.commit(offer(store.transaction(), next, await load('old'))));
    await look();
    t.match(await load('next'), { state: 'Withdrawn' });
    t.match(await load('old'), { state: 'Accepted', heldFor: undefined });
    t.equal((await store.station('cp1'))[slotField('firmware_update')], 'old');
    t.same((await store.stationAndAnswer('cp1', 'k')).answer, { reply: 'Rejected' });
    t.same(await jobIds('firmware-updates'), ['old.download.1']);
    t.same(await said(), []);
  });

  await t.test('an offer on top of an offer: what rested for the first rests on for the second', async (t) => {
    const { put, load, store, look, jobIds } = await setup(t);
    await put(updateRecord({ id: 'old', state: 'Accepted', ...ago }));
    const late = { deadlineAt: Date.now() - 1, ...ago };
    t.ok(
      await store.commit(
        offer(store.transaction(), updateRecord({ id: 'a', supersedes: 'old', ...late }), await load('old')),
      ),
    );
    const b = updateRecord({ id: 'b', supersedes: 'a', deadlineAt: Date.now() + HOUR, ...ago });
    t.ok(await store.commit(offer(store.transaction(), b, (await load<FirmwareUpdateRecord>('a')) as OfferedRecord)));
    await look();
    t.match(await load('a'), { state: 'Withdrawn' });
    t.match(await load('b'), { state: 'Offered', supersedes: 'old' });
    t.match(await load('old'), { state: 'Accepted', heldFor: 'b' });
    await look();
    t.match(await load('old'), { heldFor: 'b' });
    t.same(await jobIds('firmware-updates'), [], 'only one of them can go on');
    t.equal((await store.station('cp1'))[slotField('firmware_update')], 'b');
  });

  await t.test('releases what rests for something that is gone', async (t) => {
    const { put, load, look, jobIds } = await setup(t);
    await put(logRecord({ id: 'gone', state: 'Uploading', heldFor: 'never-was', ...ago }));
    await put(ended(logRecord({ id: 'over', state: 'Withdrawn' }), moment(), { ok: false }));
    await put(logRecord({ id: 'ended', state: 'Uploading', heldFor: 'over', ...ago }));
    await put(logRecord({ id: 'offer', deadlineAt: Date.now() + HOUR, ...ago }));
    await put(logRecord({ id: 'held', state: 'Uploading', heldFor: 'offer', ...ago }));
    await look();
    for (const id of ['gone', 'ended']) t.equal((await load(id)).heldFor, undefined, id);
    t.equal((await load('held')).heldFor, 'offer');
    t.same(await jobIds('log-uploads'), ['ended.upload.1', 'gone.upload.1']);
  });

  await t.test('ends what is out of time, with its status', async (t) => {
    const { put, load, look, said, jobIds } = await setup(t);
    const due = { deadlineAt: Date.now() - 1 };
    await put(
      updateRecord({ id: 'download', state: 'Downloading', fetch: { id: 'f', generation: 1 }, ...due, createdAt: 1 }),
    );
    await put(logRecord({ id: 'log', state: 'Uploading', ...due, createdAt: 2 }));
    await put(networkRecord({ id: 'net', state: 'Accepted', ...due, createdAt: 3 }));
    await put(resetRecord({ id: 'reset', ...due, createdAt: 4 }));
    await put(updateRecord({ id: 'install', state: 'Installing', ...due, createdAt: 5 }));
    await look();
    t.same(await said(), ['download DownloadFailed', 'log UploadFailure', 'net Failed', 'install InstallationFailed']);
    for (const id of ['download', 'log', 'net', 'reset', 'install']) t.ok((await load(id)).endedAt, id);
    t.match(await load('install'), { slotHeld: true });
    t.same(await jobIds('firmware-updates'), ['install.confirm.1'], 'its slot is kept until the station is seen idle');
    await look();
    t.equal((await said()).length, 4, 'once');
  });

  await t.test('sends back to the fetch who waits for one that is over', async (t) => {
    const { put, load, look, jobIds } = await setup(t);
    const running = joinFetch(newFetch('f', 'x', moment()), 'waits', 'x', moment()).fetch;
    await put(running);
    const update = (id: string, fetch: FirmwareUpdateRecord['fetch']) =>
      put(updateRecord({ id, state: 'Downloading', ...(fetch ? { fetch } : {}), ...ago }));
    await update('waits', { id: 'f', generation: 1 });
    await update('missed', { id: 'f', generation: 0 });
    await update('unlisted', { id: 'f', generation: 1 });
    await update('none', { id: 'gone', generation: 1 });
    await look();
    t.match(await load('waits'), { fetch: { id: 'f', generation: 1 }, run: 1 });
    for (const id of ['missed', 'unlisted', 'none']) t.match(await load(id), { fetch: undefined, run: 2 }, id);
    t.same(await jobIds('firmware-updates'), ['missed.download.2', 'none.download.2', 'unlisted.download.2']);
  });

  await t.test('sees the restart that ends a reset', async (t) => {
    const { put, load, store, look } = await setup(t);
    await put(
      resetRecord({ id: 'reset', state: 'Restarting', bootEpochBefore: 4, deadlineAt: Date.now() + HOUR, ...ago }),
    );
    await station(store, { bootEpoch: '4' });
    await look();
    t.match(await load('reset'), { state: 'Restarting' });
    await station(store, { bootEpoch: '5' });
    await look();
    t.match(await load('reset'), { state: 'Restarted', outcome: { ok: true } });
  });

  await t.test('asks for permission again in a new boot', async (t) => {
    const { put, load, store, look, said, jobIds } = await setup(t);
    const permission = { bootEpoch: 4, at: 1, by: 'everest' } as const;
    await put(
      updateRecord({
        id: 'up',
        state: 'Downloaded',
        triggerEpoch: 4,
        permission,
        deadlineAt: Date.now() + HOUR,
        ...ago,
      }),
    );
    await station(store, { bootEpoch: '5' });
    await look();
    t.match(await load('up'), { triggerEpoch: 5, permission: undefined, waitingFor: 'permission' });
    t.same(await said(), ['up Downloaded']);
    t.same(await jobIds('firmware-updates'), []);
    await look();
    t.equal((await said()).length, 1, 'once a boot');
  });

  await t.test('leaves records of a newer version alone', async (t) => {
    const { put, store, look, jobIds } = await setup(t);
    await store.commit(
      store.transaction().put({ ...logRecord({ id: 'newer', state: 'Accepted', deadlineAt: 1, ...ago }), schema: 2 }),
    );
    await put(logRecord({ id: 'ours', state: 'Accepted', ...ago }));
    await look();
    t.same(await jobIds('log-uploads'), ['ours.upload.1']);
    t.equal(await redis.hget(store.keys.record('newer'), 'version'), '1');
  });
});
