import { type Bearings, openDepotClock, type Sighting, takeBearings } from '@khumbu/operations/clock/depot-clock';
import { waitOf } from '@khumbu/operations/jobs/expected-job';
import { isOverdue } from '@khumbu/operations/kinds/kinds';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { iso } from '@khumbu/test-support/dates';
import { awaitUntil } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import { Redis } from 'ioredis';
import t from 'tap';
import { updateRecord } from './make-records.js';

const HOUR = 3600_000;
const NOW = 1_800_000_000_000;
const log = createLogger('test', 'silent');

void t.test('bearings', async (t) => {
  const before = { wall: 10_000, monotonic: 5000 };
  const seen = (wall: number, monotonic: number, roundTripMs = 10): Sighting => ({
    askedAt: 1000 - roundTripMs,
    heardAt: 1000,
    told: { wall, monotonic },
  });
  const cases: [string, Bearings | undefined, Sighting, Bearings][] = [
    ['at the start', undefined, seen(11_000, 9000), { wall: 10_005, monotonic: 8000 }],
    ['as expected', before, seen(10_997, 5990), before],
    ['another process is ahead', before, seen(10_997, 6100), { wall: 10_000, monotonic: 5100 }],
    ['Redis has forgotten its last second', before, seen(10_997, 4000), before],
    ['the date jumped forward', before, seen(10_997 + HOUR, 5990), { wall: 10_002 + HOUR, monotonic: 5000 }],
    ['the date jumped back', before, seen(10_997 - HOUR, 5990), { wall: 10_002 - HOUR, monotonic: 5000 }],
    ['a slow answer explains a little', before, seen(10_700, 5500, 800), before],
  ];
  for (const [what, from, sighting, wanted] of cases) t.same(takeBearings(from, sighting), wanted, what);
});

void t.test('clocks of several processes', async (t) => {
  const server = await startRedis({ dir: t.testdir({}) });
  const redis = new Redis(server.url, { maxRetriesPerRequest: null });
  t.teardown(async () => {
    redis.disconnect();
    await server.stop();
  });
  const open = async () => {
    const clock = await openDepotClock(redis, 'clock', log);
    t.teardown(() => clock.stop());
    return clock;
  };
  const one = await open();
  const { wall, monotonic } = one.now();
  t.ok(Math.abs(wall - Date.now()) < 10_000, 'the date is that of Redis');
  t.ok(Math.abs(monotonic - wall) < 10_000, 'the monotonic clock begins as the date');

  await redis.set('clock', String(monotonic + HOUR));
  await awaitUntil(() => one.now().monotonic >= monotonic + HOUR, 5000, 'the first to follow who is ahead');
  t.ok(Math.abs(one.now().wall - Date.now()) < 10_000, 'dates stay what they are');
  const two = await open();
  t.ok(Math.abs(two.now().monotonic - one.now().monotonic) < 10_000, 'who comes later goes on from there');

  await redis.set('clock', '5');
  await awaitUntil(
    async () => Number(await redis.get('clock')) > monotonic + HOUR,
    5000,
    'the register to be raised again',
  );
  t.ok(two.now().monotonic >= monotonic + HOUR, 'nobody goes back');
});

void t.test('what becomes of waiting when the date jumps', async (t) => {
  const jump = (byMs: number) => ({ wall: NOW + byMs, monotonic: NOW });
  const pause = { notBefore: NOW + 5000 };
  const date = { date: NOW + HOUR / 2 };
  for (const byMs of [-HOUR, 0, HOUR]) t.equal(waitOf(pause, jump(byMs)), 5000, 'a pause is as long as it is');
  t.equal(waitOf(date, jump(HOUR)), 0, 'a date that has come has come');
  t.equal(waitOf(date, jump(-HOUR)), 1.5 * HOUR);
  t.equal(waitOf({ ...date, ...pause }, jump(HOUR)), 5000, 'the later of both');

  const record = updateRecord({ state: 'Downloading', deadlineAt: NOW + 1 });
  t.notOk(isOverdue(record, jump(HOUR)), 'no deadline passes by a jump');
  t.ok(isOverdue(record, { wall: NOW - HOUR, monotonic: NOW + 1 }), 'and none is put off');

  const request = { location: 'x', request_id: 1, retrieve_timestamp: iso(NOW), install_timestamp: iso(NOW + HOUR) };
  const late = { deadlineAt: NOW - 1, request };
  const scheduled = updateRecord({ state: 'DownloadScheduled', ...late });
  t.ok(isOverdue(scheduled, jump(0)));
  t.notOk(isOverdue(scheduled, jump(-HOUR)), 'a date that is still to come is waited for');
  const installing = updateRecord({ state: 'InstallScheduled', ...late });
  t.notOk(isOverdue(installing, jump(0)));
  t.ok(isOverdue(installing, jump(HOUR)));
});
