/** What EVerest is told while an update waits for its date or its permission: the product's steps and loop, a real Redis. */
import type { Moment } from '@khumbu/operations/clock/depot-clock';
import { expectedJob, waitOf } from '@khumbu/operations/jobs/expected-job';
import type { FirmwareUpdateEvent } from '@khumbu/operations/kinds/firmware-update/machine';
import {
  ANSWERS_WITHIN_MS,
  PERMISSION_DELAY_MS,
  SILENT_DELAY_MS,
  TOLD_LOOK_MS,
} from '@khumbu/operations/kinds/firmware-update/permission-wait';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { createStore } from '@khumbu/operations/kinds/store';
import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { createAnnounce } from '@khumbu/steps/firmware-update/announce';
import { viewStation } from '@khumbu/steps/firmware-update/step-deps';
import { openRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { depsOf, offeredUpdate, profileOf, statusesIn, workOn } from './update-stage.js';

const NOW = 1_800_000_000_000;
const HOUR = 3600_000;
const { redis } = await openRedis(t, t.testdir({}));
let count = 0;

const READY: readonly FirmwareUpdateEvent[] = ['confirmed', 'fetchJoined', 'fetched', 'signatureGood'];

/** A signed update that is ready, at a station with these settings, by a clock that is set by hand. */
async function stage(settings: object, installAt?: number) {
  const clock: { wall: number; monotonic: number } = { wall: NOW, monotonic: NOW };
  const now = (): Moment => ({ ...clock });
  const store = createStore(redis, `announce${++count}`, undefined, now);
  const profile = profileOf({ dialect: 'ocpp1.6', ...settings });
  const deps = depsOf({ store, profile, spoolDir: '/none', now });
  const timestamp = installAt === undefined ? {} : { install_timestamp: new Date(installAt).toISOString() };
  let record = offeredUpdate(now(), { request: { location: 'http://h/f', request_id: 7, ...timestamp } });
  const { context } = await viewStation(deps, 'cp1');
  const transaction = store.transaction();
  for (const event of [...READY, ...(installAt === undefined ? [] : ['installLater' as const])]) {
    const detail = event === 'signatureGood' ? { set: { waitingFor: 'permission' as const } } : {};
    const next = applyUpdateEvent(record, event, context, detail);
    record = next.record;
    transaction.enqueueStatus('cp1', next.statuses);
  }
  await store.commit(transaction.put(record));
  const load = async (): Promise<FirmwareUpdateRecord> => (await store.load(record.id)) as FirmwareUpdateRecord;
  return {
    clock,
    store,
    load,
    wait: async (): Promise<number> => {
      const job = expectedJob(await load());
      return job?.name === 'announce' ? waitOf(job, now()) : Number.NaN;
    },
    work: workOn(deps, { announce: createAnnounce(deps) }, record.id),
    /** What the broker has taken since the last look. */
    async told(): Promise<unknown[]> {
      const statuses = await statusesIn(store);
      for (const { id } of await store.outboxEntries('cp1')) await store.popOutbox('cp1', id);
      return statuses;
    },
  };
}

void t.test('a status that takes connectors out of use is held until shortly before the date', async (t) => {
  for (const [settings, leadS] of [
    [{}, 60],
    [{ ready_lead_s: 900 }, 900],
  ] as const) {
    const s = await stage(settings, NOW + 5 * HOUR);
    t.same(await s.told(), ['Downloading', 'Downloaded']);
    t.equal(await s.wait(), 5 * HOUR - leadS * 1000);
    s.clock.wall += 5 * HOUR - leadS * 1000;
    await s.store.commit(s.store.transaction().setStation('cp1', { [STATION_FIELDS.bootEpoch]: '3' }));
    t.match(await s.work(), { state: 'InstallScheduled', triggerEpoch: 3, waitingFor: 'permission' });
    t.same(await s.told(), ['SignatureVerified', 'InstallScheduled']);
    t.equal(expectedJob(await s.load()), undefined, 'told once');
  }
});

void t.test('a clock that is set back holds it longer, one that is set ahead tells it', async (t) => {
  const s = await stage({}, NOW + 5 * HOUR);
  s.clock.wall -= HOUR;
  t.equal(await s.wait(), 6 * HOUR - 60_000);
  s.clock.wall += 9 * HOUR;
  t.equal(await s.wait(), 0);
  await s.work();
  t.same((await s.told()).slice(2), ['SignatureVerified', 'InstallScheduled']);
});

void t.test('or it is told at once, as certification tools expect', async (t) => {
  const s = await stage({ ready_status: 'at-once' }, NOW + 5 * HOUR);
  t.same(await s.told(), ['Downloading', 'Downloaded', 'SignatureVerified', 'InstallScheduled']);
  t.equal(expectedJob(await s.load()), undefined);
});

void t.test('a permission that is a while in coming: the installation is told to be scheduled, once', async (t) => {
  const s = await stage({});
  const fields = (set: Record<string, string | undefined>) =>
    s.store.commit(s.store.transaction().setStation('cp1', set));
  t.equal(await s.wait(), TOLD_LOOK_MS);
  s.clock.monotonic += TOLD_LOOK_MS;
  t.match(await s.work(), { state: 'SignatureVerified', askedAt: undefined }, 'it may not have been told yet');
  t.same(await s.told(), ['Downloading', 'Downloaded', 'SignatureVerified']);
  await fields({ [STATION_FIELDS.awaySince]: '1' });
  s.clock.monotonic += TOLD_LOOK_MS;
  t.match(await s.work(), { state: 'SignatureVerified', askedAt: undefined }, 'nor does one answer that is away');
  await fields({ [STATION_FIELDS.awaySince]: undefined });
  s.clock.monotonic += TOLD_LOOK_MS;
  const askedAt = s.clock.monotonic;
  t.match(await s.work(), { state: 'SignatureVerified', askedAt }, 'it has heard what it is to answer');
  t.equal(await s.wait(), PERMISSION_DELAY_MS);
  const beat = (steadyAt: number) => ({ [STATION_FIELDS.heartbeat]: JSON.stringify({ id: 9, at: NOW, steadyAt }) });
  await fields(beat(askedAt + 1));
  s.clock.monotonic += PERMISSION_DELAY_MS;
  t.match(await s.work(), { state: 'SignatureVerified', askedAt }, 'what it sent since may still be on its way to us');
  await fields(beat(askedAt + ANSWERS_WITHIN_MS));
  s.clock.monotonic += TOLD_LOOK_MS;
  t.match(await s.work(), { state: 'InstallScheduled', waitingFor: 'permission' });
  t.same(await s.told(), ['InstallScheduled']);
  t.equal(expectedJob(await s.load()), undefined, 'the permission is waited for as before');

  const silent = await stage({});
  await silent.told();
  for (const ms of [TOLD_LOOK_MS, PERMISSION_DELAY_MS, SILENT_DELAY_MS - PERMISSION_DELAY_MS]) {
    t.same(await silent.told(), []);
    silent.clock.monotonic += ms;
    await silent.work();
  }
  t.same(await silent.told(), ['InstallScheduled'], 'without heartbeats the time alone tells');
});
