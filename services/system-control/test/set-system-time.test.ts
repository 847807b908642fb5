import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { type SystemTimeRecord, tellSystemTime } from '@khumbu/operations/kinds/set-system-time/record';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { StationDriver } from '@khumbu/station-drivers/port';
import { createSetSystemTime } from '@khumbu/steps/station/set-system-time';
import { openRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { openStage, STATION } from './steps-stage.js';

const { redis } = await openRedis(t, t.testdir());

const TOLD_AT = 1_000_000;
const VALUE = 1_800_000_000_000;

/** `redisNow`: the clock that tells how old the told time is. */
const clocks = (driver: Partial<StationDriver>, redisNow: () => number, isGone = false) =>
  openStage({
    redis,
    driver,
    isGone,
    steps: (deps) => {
      const set = createSetSystemTime({ ...deps, redisNow: async () => redisNow(), toleranceMs: 500 });
      return { 'set-system-time': set };
    },
  });
const told = (): SystemTimeRecord =>
  tellSystemTime(undefined, STATION, { value: VALUE, toldAtRedisMs: TOLD_AT, origin: 'everest' }, momentOf(Date.now()));

void t.test('a clock is set to what was told and the time since', async (t) => {
  const set: number[] = [];
  const driver = {
    readClock: async () => new Date(VALUE - 3_600_000),
    setClock: async (time: Date) => void set.push(time.getTime()),
  };
  const { put, work } = clocks(driver, () => TOLD_AT + 700);
  t.match(await work(await put(told())), { state: 'Done', outcome: { ok: true } });
  t.same(set, [VALUE + 700]);
});

void t.test('a clock that is a little off is slewed, and stepped where the station cannot', async (t) => {
  for (const can of [true, false]) {
    const done: (readonly [string, number])[] = [];
    const driver = {
      readClock: async () => new Date(VALUE - 3000),
      setClock: async (time: Date) => void done.push(['step', time.getTime()]),
      async slewClock(byMs: number) {
        if (!can) throw new CodedError('NOT_SUPPORTED', 'no program for it');
        done.push(['slew', byMs]);
      },
    };
    const { put, work } = clocks(driver, () => TOLD_AT);
    t.match(await work(await put(told())), { state: 'Done', outcome: { ok: true } });
    t.same(done, [can ? ['slew', 3000] : ['step', VALUE]]);
  }
});

void t.test('no step while a transaction runs, and none that is too large without a person', async (t) => {
  const attempt = async (offMs: number, origin: 'everest' | 'rest', transactions?: readonly string[]) => {
    const set: number[] = [];
    const driver = {
      readClock: async () => new Date(VALUE - offMs),
      setClock: async (time: Date) => void set.push(time.getTime()),
    };
    const { store, put, work } = clocks(driver, () => TOLD_AT);
    if (transactions)
      await store.commit(store.transaction().setStation(STATION, { transactions: JSON.stringify(transactions) }));
    const { outcome } = await work(await put({ ...told(), origin }));
    return { outcome, set };
  };
  const HOUR = 3_600_000;
  t.same(await attempt(HOUR, 'everest', ['one']), { outcome: { ok: false, reason: 'transaction_running' }, set: [] });
  t.same(await attempt(HOUR, 'rest', ['one']), { outcome: { ok: false, reason: 'transaction_running' }, set: [] });
  t.same(await attempt(HOUR, 'everest', []), { outcome: { ok: true }, set: [VALUE] });
  const tooLarge = { outcome: { ok: false, reason: 'clock_step_too_large' }, set: [] };
  t.same(await attempt(24 * 400 * HOUR, 'everest'), tooLarge);
  t.same(await attempt(24 * 400 * HOUR, 'rest'), { outcome: { ok: true }, set: [VALUE] });
});

void t.test('the clock of a station that is not configured any more is left, once and for all', async (t) => {
  const { put, work, lines } = clocks({}, () => TOLD_AT, true);
  const record = await work(await put(told()));
  t.match(record, { state: 'Done', outcome: { ok: false, reason: 'station_not_configured' } });
  t.same(
    lines.filter(({ level }) => level >= 50),
    [],
    'it is no surprise',
  );
});

void t.test('a time that is old by now is dropped, whatever befell the driver', async (t) => {
  let asked = 0;
  let now = TOLD_AT;
  const driver = {
    readClock: async (): Promise<Date> => {
      asked += 1;
      throw new TypeError('a mistake of the driver');
    },
  };
  const { put, work } = clocks(driver, () => now);
  const failed = await work(await put(told()));
  t.match(failed, { state: 'Pending', faults: 1 }, 'tried again');
  now += 2001;
  t.match(await work(failed), { state: 'Done', outcome: { ok: false, reason: 'stale' } });
  t.equal(asked, 1, 'the station is not asked any more');
});
