import { jumpBetween, type Reading, watchClock } from '@khumbu/shared/runtime/clock-watch';
import { collector } from '@khumbu/test-support/events';
import t from 'tap';

const HOUR = 3600_000;

void t.test('a jump is what the monotonic clock does not explain', async (t) => {
  const cases: [string, Partial<Reading>, number][] = [
    ['time passes', { wall: 1000, mono: 1000 }, 0],
    ['a process that stood still', { wall: HOUR, mono: HOUR }, 0],
    ['a clock that is drawn', { wall: 1500, mono: 1000 }, 0],
    ['an hour on', { wall: HOUR + 1000, mono: 1000 }, HOUR],
    ['an hour back', { wall: 1000 - HOUR, mono: 1000 }, -HOUR],
    ['a little over two seconds', { wall: 3100, mono: 1000 }, 2100],
  ];
  for (const [what, after, wanted] of cases) {
    t.equal(jumpBetween({ wall: 0, mono: 0 }, { wall: 0, mono: 0, ...after }), wanted, what);
  }
});

void t.test('each jump is told once', async (t) => {
  const readings: Reading[] = [
    { wall: 0, mono: 0 },
    { wall: HOUR, mono: 1000 },
    { wall: HOUR + 1000, mono: 2000 },
    { wall: 2000, mono: 3000 },
  ];
  const last = { wall: 3000, mono: 4000 };
  const jumps = collector<number>();
  const stop = watchClock(
    (byMs) => jumps.push(byMs),
    () => readings.shift() ?? last,
  );
  t.teardown(stop);
  await jumps.awaitAll((all) => all.length === 2, 10_000, 'both jumps');
  t.same(jumps.items, [HOUR - 1000, -HOUR]);
});
