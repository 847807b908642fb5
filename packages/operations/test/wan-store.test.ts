import type { WanRules } from '@khumbu/operations/wan/settings';
import { createWanMeter } from '@khumbu/operations/wan/wan-meter';
import { createWanStore } from '@khumbu/operations/wan/wan-store';
import { createLogger } from '@khumbu/shared/runtime/logger';
import t from 'tap';
import { fresh, redis } from './store-stage.js';

const RULES: WanRules = { timeZone: 'Europe/Berlin', windows: [], startSpreadS: 0 };
const signal = new AbortController().signal;
/** A minute before December at the depot. */
const LATE = Date.parse('2026-11-30T23:59:00+01:00');

function stage(rules: Partial<WanRules> = {}) {
  const { keys } = fresh().store;
  const clock = { wall: LATE, monotonic: LATE - 1_000_000 };
  const open = () => createWanStore(redis, keys, { ...RULES, ...rules }, () => ({ ...clock }));
  return { wan: open(), other: open(), clock, keys };
}

void t.test('a pause is kept, by whom and since when, until it is lifted', async (t) => {
  const { wan, other, clock } = stage();
  t.match(await wan.look(), { paused: false, window: { open: true } });
  await wan.pause('alice');
  clock.wall += 1000;
  await other.pause('bob');
  t.match(await other.look(), { paused: true, pausedBy: { since: LATE, by: 'alice' } }, 'the first one counts');
  await wan.resume();
  await wan.resume();
  t.equal((await wan.look()).paused, false);
  await wan.pause(undefined);
  t.strictSame((await wan.look()).pausedBy, { since: LATE + 1000 });
});

void t.test('bytes and budgets are of their month', async (t) => {
  const { wan, clock } = stage({ monthBudgetBytes: 1000 });
  await wan.count(400, 50);
  await wan.count(200, 0);
  t.match((await wan.look()).month, { name: '2026-11', down: 600, up: 50, budget: 1000 });
  await wan.setBudget(undefined, 'alice');
  const unlimited = (await wan.look()).month;
  t.strictSame([unlimited.budget, unlimited.budgetBy], [undefined, 'alice']);
  await wan.setBudget(2000, 'bob');
  t.match((await wan.look()).month, { budget: 2000, budgetBy: 'bob' });
  clock.wall += 60_000;
  const next = (await wan.look()).month;
  t.match(next, { name: '2026-12', down: 0, up: 0, budget: 1000, endsAt: Date.parse('2027-01-01T00:00+01:00') });
  t.equal(next.budgetBy, undefined);
});

void t.test('of two that do not fit both, the first one has the bytes, until it ends or is killed', async (t) => {
  const { wan, other, clock } = stage({ monthBudgetBytes: 1000 });
  await wan.count(100, 0);
  const first = await Promise.all([wan.claim('a', 600), other.claim('b', 600)]);
  t.equal(first.filter((has) => has).length, 1, 'one of them, whichever');
  const [has, lacks] = first[0] ? ['a', 'b'] : ['b', 'a'];
  t.equal(await other.claim(lacks, 301), false);
  t.equal(await other.claim(lacks, 300), true, 'to the byte');
  t.strictSame(
    (await wan.look()).month.reserved,
    new Map([
      [has, 600],
      [lacks, 300],
    ]),
  );
  await wan.disclaim(has);
  t.equal(await other.claim(lacks, 900), true);
  clock.monotonic += 14_000;
  t.equal(await wan.claim('c', 1), false, 'a claim is renewed every second, and may be late');
  clock.monotonic += 2000;
  t.equal(await wan.claim('c', 900), true, 'a killed worker renews nothing');
  t.strictSame([...(await wan.look()).month.reserved.keys()], ['c']);
});

void t.test('what a server asked for is of all its locations, and starts are spread', async (t) => {
  const { wan, other, clock } = stage({ startSpreadS: 100 });
  const origin = 'https://files.example:8443';
  const starts = await Promise.all(
    Array.from({ length: 40 }, async (_, index) => (await wan.startOf(`f${index}`, origin)).startsAt ?? 0),
  );
  const delays = starts.map((at) => at - clock.monotonic).toSorted((a, b) => a - b);
  t.ok((delays[0] ?? -1) >= 0 && (delays.at(-1) ?? 0) <= 100_000, `${delays.join()}`);
  t.ok((delays[30] ?? 0) - (delays[10] ?? 0) > 10_000, 'at random');
  t.equal((await other.startOf('f0', origin)).startsAt, starts[0], 'all who wait for one fetch have one start');

  await wan.beQuiet(origin, 60_000);
  // Of another location of it.
  await other.beQuiet(origin, 1000);
  const quiet = await other.startOf('g', origin);
  t.equal(quiet.quietUntil, clock.monotonic + 60_000);
  t.ok((quiet.startsAt ?? 0) >= clock.monotonic + 60_000, 'spread behind the peace that was asked for');
  t.equal((await other.startOf('h', 'https://other.example')).quietUntil, undefined);
});

void t.test('a fast transfer is not counted for each MiB of it', async (t) => {
  const { wan } = stage();
  let counts = 0;
  const store = {
    ...wan,
    count: async (...counted: Parameters<typeof wan.count>) => {
      counts += 1;
      await wan.count(...counted);
    },
  };
  const meter = createWanMeter(store, undefined, createLogger('test', 'silent'));
  const begunAt = performance.now();
  for (let n = 0; n < 500; n += 1) {
    meter.count('down', 1024 * 1024);
    await new Promise(setImmediate);
  }
  const most = 1 + (performance.now() - begunAt) / 100;
  t.ok(counts >= 1 && counts <= most, `${counts} times, ${most} at most`);
  await meter.stop();
  t.match((await wan.look()).month, { down: 500 * 1024 * 1024 }, 'and none is forgotten');
});

void t.test('what was not counted is counted later, once', async (t) => {
  const { wan } = stage();
  let isAway = true;
  const store = {
    ...wan,
    count: async (...counted: Parameters<typeof wan.count>) =>
      isAway ? Promise.reject(new Error('away')) : wan.count(...counted),
  };
  const meter = createWanMeter(store, undefined, createLogger('test', 'silent'));
  const pace = meter.pace('up');
  t.equal(pace.take(10, signal), undefined, 'without a limit nothing waits');
  const run = { fetchId: 'f', createdAt: 1, generation: 1 };
  const forget = meter.begin(run);
  meter.count('down', 2 * 1024 * 1024, 'f');
  meter.count('down', 1, 'unknown');
  t.equal(meter.receivedOf('f'), 2 * 1024 * 1024);
  forget();
  t.equal(meter.receivedOf('f'), 0);
  // Refused once; what comes in between is added to it.
  await new Promise(setImmediate);
  isAway = false;
  t.equal(await meter.broughtBefore(run), 2 * 1024 * 1024, 'of the fetch as well, for who goes on with it');
  await meter.stop();
  t.match((await wan.look()).month, { down: 2 * 1024 * 1024 + 1, up: 10 });
  t.equal(await meter.broughtBefore({ ...run, generation: 2 }), 0);
  await meter.forgetBrought(run);
  t.equal(await meter.broughtBefore(run), 0);
  t.equal(await meter.broughtBefore({ ...run, createdAt: 2 }), 0);
});

void t.test('bytes of a fetch that has ended are not counted for it afterwards', async (t) => {
  const { wan } = stage();
  const meter = createWanMeter(wan, undefined, createLogger('test', 'silent'));
  const run = { fetchId: 'f', createdAt: 1, generation: 1 };
  const [end, endOther] = [meter.begin(run), meter.begin(run)];
  end();
  meter.count('down', 1000, 'f');
  t.equal(meter.receivedOf('f'), 1000, 'the end of one run is not that of the one that goes on');
  endOther();
  await meter.forgetBrought(run);
  await meter.stop();
  t.equal(await wan.broughtBy(run), 0);
  t.match((await wan.look()).month, { down: 1000 });
});
