import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { QueueName } from '@khumbu/operations/jobs/expected-job';
import { createJobs } from '@khumbu/operations/jobs/jobs';
import { joinFetch, newFetch } from '@khumbu/operations/kinds/firmware-fetch/record';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { type OfferedRecord, offer } from '@khumbu/operations/kinds/offer';
import type { Store } from '@khumbu/operations/kinds/store';
import { createReconciler } from '@khumbu/operations/reconciler/reconciler';
import { slotField } from '@khumbu/operations/records/keys';
import { ended } from '@khumbu/operations/records/record';
import { iso } from '@khumbu/test-support/dates';
import t, { type Test } from 'tap';
import { depot, HOUR, log, moment, redis } from './depot-stage.js';
import { logRecord, networkRecord, resetRecord, updateRecord } from './make-records.js';

void t.test('the reconciler', async (t) => {
  const directory = { profileOf: () => undefined, configured: () => [], close: () => undefined };
  const ago = { createdAt: Date.now() - HOUR, updatedAt: Date.now() - HOUR };
  const setup = async (t: Test, now = moment) => {
    const parts = await depot(t);
    const reconciler = createReconciler({ ...parts, directory, now, log });
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
    // The reconciler's clock stands: it would add the job of the young one too if a look came more than 1.5 s after its making.
    const made = Date.now();
    const { put, look, jobIds } = await setup(t, () => momentOf(made));
    await put(logRecord({ id: 'old', state: 'Accepted', ...ago }));
    await put(logRecord({ id: 'young', state: 'Accepted', createdAt: made, updatedAt: made }));
    await put(logRecord({ id: 'future', state: 'Accepted', updatedAt: made + HOUR }));
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
    const { put, store, queue } = await depot(t);
    // The clock of the jobs stands: half a second later one that BullMQ is about to do would count as forgotten.
    const now = Date.now();
    const jobs = createJobs(redis, store.keys, () => momentOf(now));
    t.teardown(() => jobs.close());
    const at = (time: number) => ({ location: 'x', request_id: 7, retrieve_timestamp: iso(time) });
    const record = await put(updateRecord({ state: 'DownloadScheduled', request: at(now + HOUR), ...ago }));
    await jobs.ensure(record);
    const updates = queue('firmware-updates');
    t.equal(await jobs.reconcile(record), undefined, 'not due');
    t.equal(await jobs.reconcile({ ...record, request: at(now - 500) }), undefined, 'BullMQ is about to do it');
    t.equal((await updates.getDelayed()).length, 1);
    const due = { ...record, request: at(now - HOUR) };
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
