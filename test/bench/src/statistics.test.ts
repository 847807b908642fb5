import t from 'tap';
import { median, quantile, spread, toRow } from './statistics.js';
import { figure, renderTable } from './table.js';

const spec = {
  name: 'speed',
  unit: 'ms',
  baselineName: 'the other',
  wanted: 'ratio <= 2',
  meets: ({ ratio }: { ratio: number | null }) => ratio !== null && ratio <= 2,
} as const;
const alone = { ...spec, baselineName: '-' };

void t.test('quantiles lie between values where need be', async (t) => {
  t.equal(median([3, 1, 2]), 2);
  t.equal(median([4, 1, 2, 3]), 2.5);
  t.equal(quantile([10, 20, 30, 40, 50], 0.25), 20);
  t.equal(quantile([0, 10], 0.99), 9.9);
  t.throws(() => median([]), RangeError);
});

void t.test('the spread is relative to the median', async (t) => {
  t.equal(spread([5, 5, 5]), 0);
  t.ok(Math.abs((spread([90, 100, 110]) ?? 0) - 0.08) < 1e-9);
  t.equal(spread([-1, 0, 1]), null);
});

void t.test('a row has the medians and their ratio', async (t) => {
  t.match(toRow(spec, { ours: [3, 30, 4], baseline: [2, 1, 20] }), {
    name: 'speed',
    unit: 'ms',
    ours: 4,
    baseline: 2,
    baselineName: 'the other',
    ratio: 2,
    n: 3,
    why: undefined,
  });
  t.match(toRow(alone, { ours: [3] }), { ours: 3, baseline: null, ratio: null, n: 1, spread: 0, why: undefined });
});

void t.test('what was not measured is named and never zero', async (t) => {
  t.match(toRow(spec, { why: 'it broke' }), {
    ours: null,
    baseline: null,
    ratio: null,
    n: 0,
    spread: null,
    why: 'it broke',
  });
  t.match(toRow(spec, { ours: [] }), { ours: null, why: 'not measured' });
  t.match(toRow(spec, { ours: [0, 1] }), { ours: null, why: 'not a figure: 0' });
  t.match(toRow(spec, { ours: [Number.NaN] }), { ours: null, why: 'not a figure: NaN' });
  t.match(toRow(spec, { ours: [1] }), { ours: 1, baseline: null, ratio: null, why: 'the baseline was not measured' });
});

void t.test('the table says whether a row meets what is wanted', async (t) => {
  const good = toRow(spec, { ours: [2], baseline: [1] });
  const bad = toRow(spec, { ours: [30], baseline: [1] });
  const none = toRow(spec, { why: 'it broke' });
  const lines = renderTable([good, bad, none].map((row) => ({ spec, row }))).split('\n');
  t.match(lines[2], /ratio <= 2 +yes +the other$/);
  t.match(lines[3], /ratio <= 2 +NO +the other$/);
  t.match(lines[4], /- +- +- +- +0 +ratio <= 2 +not measured +the other$/);
  t.equal(lines[5], 'speed: not measured: it broke');
});

void t.test('figures have three digits that count', async (t) => {
  t.equal(figure(12345.6), '12346');
  t.equal(figure(1.23456), '1.23');
  t.equal(figure(0.00123456), '0.00123');
  t.equal(figure(null), '-');
});
