import { type DepotFacts, delayOf, freeBytes, type Hold, pauseOf, type UpdateFacts } from '@khumbu/operations/wan/gate';
import t from 'tap';

/** The monotonic clock is behind the date: the depot was stopped. */
const now = { wall: 1_800_000_000_000, monotonic: 1_700_000_000_000 };
const IN_AN_HOUR = now.wall + 3600_000;
const month = {
  name: '2027-01',
  endsAt: now.wall + 86_400_000,
  down: 600,
  up: 100,
  reserved: new Map([
    ['a', 100],
    ['b', 50],
  ]),
};
const DEPOT: DepotFacts = { now, paused: false, window: { open: true }, month };
const UPDATE: UpdateFacts = {
  pausedByOperator: false,
  downloadNow: false,
  isLocal: false,
  brought: 0,
  toCome: 0,
  fetchId: 'a',
};
const closed = { window: { open: false, until: IN_AN_HOUR } } as const;
const budget = (bytes: number) => ({ month: { ...month, budget: bytes } });
const byWindow = { for: 'download_window', until: now.monotonic + 3600_000 } as const;
const byMonth = { for: 'month_budget', until: now.monotonic + 86_400_000 } as const;

type Row = readonly [what: string, depot: Partial<DepotFacts>, update: Partial<UpdateFacts>, hold: Hold | undefined];
const ROWS: readonly Row[] = [
  ['nothing keeps it', {}, {}, undefined],
  ['an operator', {}, { pausedByOperator: true }, { for: 'operator_pause' }],
  [
    'an operator, more than the depot',
    { paused: true, ...closed },
    { pausedByOperator: true },
    { for: 'operator_pause' },
  ],
  ['the whole depot', { paused: true, ...closed }, {}, { for: 'depot_pause' }],
  ['the whole depot, one that may come at once too', { paused: true }, { downloadNow: true }, { for: 'depot_pause' }],
  ['the whole depot, one from its own store too', { paused: true }, { isLocal: true }, { for: 'depot_pause' }],
  ['the window', closed, {}, byWindow],
  ['no window for what may come at once', closed, { downloadNow: true }, undefined],
  ['no window for the depot’s own store', { ...closed, ...budget(0) }, { isLocal: true }, undefined],
  ['the window before the month', { ...closed, ...budget(0) }, {}, byWindow],
  ['a month that is used up', budget(700), {}, byMonth],
  ['a month whose rest others have claimed', budget(750), {}, byMonth],
  ['one byte is left to it', budget(751), {}, undefined],
  ['its own claim is not against it', budget(850), { toCome: 100 }, undefined],
  ['what is to come is too much', budget(850), { toCome: 101 }, byMonth],
  ['it may come at once', budget(0), { downloadNow: true, toCome: 1000 }, undefined],
  ['its own budget', {}, { budget: 100, brought: 100 }, { for: 'update_budget' }],
  ['its own budget, by what is to come', {}, { budget: 100, brought: 50, toCome: 51 }, { for: 'update_budget' }],
  ['it keeps within its own', {}, { budget: 100, brought: 50, toCome: 50 }, undefined],
  ['its own before the window', closed, { budget: 1, brought: 1 }, { for: 'update_budget' }],
];

void t.test('what keeps an update from being fetched, the strongest first', async (t) => {
  for (const [what, depot, update, hold] of ROWS)
    t.strictSame(pauseOf({ ...DEPOT, ...depot }, { ...UPDATE, ...update }), hold, what);
});

void t.test('what is left of a month', async (t) => {
  t.equal(freeBytes(month), undefined, 'without a budget there is no end');
  t.equal(freeBytes({ ...month, budget: 1000 }), 150);
  t.equal(freeBytes({ ...month, budget: 1000 }, 'a'), 250);
  t.equal(freeBytes({ ...month, budget: 500 }), -350, 'a budget can be set below what is used');
});

void t.test('what keeps a fetch from beginning', async (t) => {
  const later = now.monotonic + 1;
  t.equal(delayOf(now, {}), undefined);
  t.equal(delayOf(now, { quietUntil: now.monotonic, startsAt: now.monotonic }), undefined);
  t.strictSame(delayOf(now, { quietUntil: later, startsAt: later + 1 }), { for: 'retry_after', until: later });
  t.strictSame(delayOf(now, { startsAt: later }), { for: 'start_spread', until: later });
});
