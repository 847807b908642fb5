import type { FirmwareUpdateEvent } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import {
  applyUpdateEvent,
  type EventDetail,
  UPDATE_DEADLINES,
} from '@khumbu/operations/kinds/firmware-update/transition';
import { iso } from '@khumbu/test-support/dates';
import { startRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { type Json, openRest, type Rest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

const HOUR = 3600_000;
const UPDATES = '/v1/stations/cs-1/firmware-updates';

/** A depot whose clocks are set by hand: it was stopped for a year, so its own clock is behind the date. */
const clock = { wall: Date.now(), monotonic: Date.now() - 365 * 24 * HOUR };
const now = () => ({ ...clock });

async function advance({ store }: Rest, id: string, event: FirmwareUpdateEvent, detail: EventDetail = {}) {
  const record = (await store.load(id)) as FirmwareUpdateRecord;
  const context = { now: now(), dialect: 'ocpp1.6' as const, bootEpoch: 0 };
  const next = applyUpdateEvent(record, event, context, detail);
  await store.commit(store.transaction().put(next.record).enqueueStatus(record.station, next.statuses));
}

void t.test('an update says what it waits for in every state before its installation', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, now });
  const installAt = clock.wall + 3 * HOUR;
  const body = { location: 'https://files.example/f', install_timestamp: iso(installAt) };
  const { operationId } = (await rest.call('POST', UPDATES, { body })).body as Json;
  const seen = async (): Promise<Json> => (await rest.call('GET', `${UPDATES}/${operationId}`)).body;
  t.match(await seen(), { status: 'Accepted', waitingFor: 'worker', waiting: { for: 'worker', liftedBy: ['worker'] } });
  await advance(rest, operationId, 'fetchJoined', { set: { fetch: { id: 'f', generation: 1 }, tries: 1 } });
  const downloading = await seen();
  t.match(downloading, { status: 'Downloading', waiting: { for: 'download' } });
  t.equal(downloading.waitingFor, undefined, 'somebody is at work on it');
  const readyAt = clock.wall;
  await advance(rest, operationId, 'fetched', { set: { waitingFor: 'permission' } });
  clock.wall += HOUR;
  await advance(rest, operationId, 'installLater');
  const scheduled = await seen();
  t.match(scheduled, {
    status: 'InstallScheduled',
    waitingFor: 'permission',
    waiting: { for: 'permission', since: iso(readyAt), afterwards: 'fails', liftedBy: ['everest', 'operator'] },
  });
  t.equal(scheduled.waiting.until, scheduled.deadlineAt);
  const station = (await rest.call('GET', '/v1/stations/cs-1')).body as Json;
  t.strictSame(station.operations[0].waiting, scheduled.waiting, 'the station says the same');
  const { events } = rest;
  const { entries } = await events.after('0-0');
  const last = JSON.parse(entries.at(-1)?.data ?? '{}') as Json;
  t.match(last, { type: 'operation', status: 'InstallScheduled', waitingFor: 'permission' });
  t.strictSame(last.waiting, scheduled.waiting, 'and so does the event');

  const allowed = await rest.call('POST', `${UPDATES}/${operationId}/allow-installation`);
  t.match(allowed.body, {
    waitingFor: 'install_timestamp',
    waiting: { for: 'install_timestamp', until: iso(installAt), afterwards: 'goes_on', liftedBy: ['time'] },
  });
});

void t.test('deadlines are dates of the depot as it runs, and move on by its stops', async (t) => {
  const rest = await openRest(t, { redis, stations: { 'cs-1': {} }, now });
  const { operationId } = (await rest.call('POST', UPDATES, { body: { location: 'https://files.example/f' } })).body;
  const deadline = async (): Promise<number> =>
    Date.parse(((await rest.call('GET', `/v1/operations/${operationId}`)).body as Json).deadlineAt);
  const expected = clock.wall + UPDATE_DEADLINES.downloadMs;
  t.ok(Math.abs((await deadline()) - expected) <= 1000, 'a day from now, by the date');
  clock.wall += 1000;
  clock.monotonic += 1000;
  t.ok(Math.abs((await deadline()) - expected) <= 1000, 'a second later it is the same');
  clock.wall += 12 * HOUR;
  t.ok(Math.abs((await deadline()) - expected - 12 * HOUR) <= 1000, 'a stop of twelve hours does not count');
});
