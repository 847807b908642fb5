import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { expectedJob, waitOf } from '@khumbu/operations/jobs/expected-job';
import type { Step } from '@khumbu/operations/jobs/job-loop';
import { joinFetch, newFetch } from '@khumbu/operations/kinds/firmware-fetch/record';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import type { LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { tellSystemTime } from '@khumbu/operations/kinds/set-system-time/record';
import { ended, inState } from '@khumbu/operations/records/record';
import type { CodedError } from '@khumbu/shared/runtime/errors';
import { iso } from '@khumbu/test-support/dates';
import { awaitUntil, collector, within } from '@khumbu/test-support/events';
import t from 'tap';
import { depot, HOUR, moment, uploaded, WAIT_MS } from './depot-stage.js';
import { logRecord, networkRecord, resetRecord, updateRecord } from './make-records.js';

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

  await t.test('a notification ends the work on an operation and on no other', async (t) => {
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
