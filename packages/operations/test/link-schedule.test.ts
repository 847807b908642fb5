import { createLinkSchedule, sliceBytes } from '@khumbu/operations/wan/link-schedule';
import t from 'tap';
import { fresh, redis } from './store-stage.js';

const RATE = 1_000_000;
const signal = new AbortController().signal;

/** Transfers in processes, on a clock that is set by hand; each reads a slice in no time, or in `readMs`. */
async function play(
  transfers: readonly { readonly process: number; readonly readMs?: number }[],
  seconds: number,
  options: { rate?: number; outFrom?: number; outUntil?: number; jump?: { at: number; byMs: number } } = {},
) {
  const { rate = RATE, outFrom = Infinity, outUntil = Infinity, jump } = options;
  const { keys } = fresh().store;
  const START = 1_700_000_000_000;
  let at = 0;
  let waited = 0;
  const clock = {
    now: () => at,
    sleep: async (ms: number) => {
      waited = ms;
    },
  };
  const asked = { count: 0 };
  const standIn = {
    get status() {
      return at >= outFrom * 1000 && at < outUntil * 1000 ? 'reconnecting' : 'ready';
    },
    eval: (...args: Parameters<typeof redis.eval>) => {
      asked.count += 1;
      return redis.eval(...args);
    },
  };
  const now = () => ({ wall: START + at + (jump && at >= jump.at ? jump.byMs : 0), monotonic: START + at });
  const schedules = [...new Set(transfers.map(({ process }) => process))].map(() =>
    createLinkSchedule({ redis: standIn as unknown as typeof redis, keys, now, clock }, rate),
  );
  const lanes = transfers.map((transfer) => ({ ...transfer, next: 0, bytes: 0 }));
  const taken: { readonly at: number; readonly bytes: number }[] = [];
  for (;;) {
    const lane = lanes.reduce((a, b) => (b.next < a.next ? b : a));
    if (lane.next >= seconds * 1000) break;
    at = Math.max(at, lane.next);
    waited = 0;
    const bytes = (await schedules[lane.process]?.slice(signal)) ?? 0;
    const read = at + waited;
    lane.bytes += bytes;
    taken.push({ at: read, bytes });
    lane.next = read + (lane.readMs ?? 0);
  }
  const within = (from: number, to: number): number =>
    taken.filter((one) => one.at >= from * 1000 && one.at < to * 1000).reduce((sum, { bytes }) => sum + bytes, 0);
  return { lanes, within, asked };
}
const isNear = (found: number, expected: number): boolean => Math.abs(found / expected - 1) <= 0.05;

void t.test('together they keep the rate over every half minute, and each gets the same', async (t) => {
  for (const count of [1, 3, 12]) {
    const transfers = Array.from({ length: count }, (_, index) => ({
      process: index % 2,
      readMs: count === 1 ? 60 : 1,
    }));
    if (count === 1) transfers[0] = { process: 0, readMs: 60 };
    const { lanes, within, asked } = await play(transfers, 65);
    for (const from of [0, 5, 17, 30])
      t.ok(isNear(within(from, from + 30), 30 * RATE), `${count}: ${within(from, from + 30)} from ${from}`);
    const shares = lanes.map(({ bytes }) => bytes / ((65 * RATE) / count));
    t.ok(
      shares.every((share) => Math.abs(share - 1) < 0.05),
      `${count}: ${shares.join()}`,
    );
    t.ok(asked.count <= 65 * 10 + 20, `${count}: ${asked.count} round trips`);
  }
});

void t.test('what one cannot use the others get', async (t) => {
  // It takes a second for each slice: a tenth of the rate.
  const { lanes, within } = await play([{ process: 0, readMs: 1000 }, { process: 0 }, { process: 1 }], 40);
  t.ok(isNear(within(5, 35), 30 * RATE), `${within(5, 35)}`);
  const [slow, ...fast] = lanes.map(({ bytes }) => bytes / 40);
  t.ok((slow ?? 0) < RATE / 8 && fast.every((bytes) => bytes > RATE * 0.4), `${slow} ${fast.join()}`);
});

void t.test('without Redis each process goes on by its share, and the limit is kept', async (t) => {
  const transfers = [{ process: 0 }, { process: 0 }, { process: 0 }, { process: 1 }];
  const { within, lanes } = await play(transfers, 100, { outFrom: 20, outUntil: 60 });
  t.ok(isNear(within(22, 52), 30 * RATE), `${within(22, 52)} while Redis is away`);
  t.ok(within(58, 88) <= 30 * RATE * 1.05, `${within(58, 88)} as it comes back`);
  t.ok(isNear(within(65, 95), 30 * RATE), `${within(65, 95)} afterwards`);
  t.ok(lanes.every(({ bytes }) => bytes > 0));
});

void t.test(
  'a process that never had a share goes on slowly, and slices are never smaller than is of use',
  async (t) => {
    const { within } = await play([{ process: 0 }], 30, { outFrom: 0 });
    t.ok(within(0, 30) > 0 && within(0, 30) <= 30 * RATE * 0.1, `${within(0, 30)}`);
    t.equal(sliceBytes(10), 1024);
    t.equal(sliceBytes(RATE), 100_000);
    const slow = await play([{ process: 0 }, { process: 1 }], 120, { rate: 1000 });
    t.ok(isNear(slow.within(0, 120), 120_000), `${slow.within(0, 120)}`);
  },
);

void t.test('a clock that is set changes nothing, and an abort ends the wait', async (t) => {
  const { within } = await play([{ process: 0 }, { process: 1 }], 40, { jump: { at: 10_000, byMs: -3600_000 } });
  t.ok(isNear(within(5, 35), 30 * RATE), `${within(5, 35)}`);
  const { keys } = fresh().store;
  const now = () => ({ wall: 0, monotonic: 1_700_000_000_000 });
  const schedule = createLinkSchedule({ redis, keys, now }, 1);
  await schedule.slice(signal);
  const aborter = new AbortController();
  const waiting = schedule.slice(aborter.signal);
  aborter.abort(new Error('not wanted'));
  await t.rejects(waiting, { message: 'not wanted' });
});
