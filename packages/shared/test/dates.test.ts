import { plannedDate, rfc3339 } from '@khumbu/shared/runtime/dates';
import t from 'tap';

void t.test('a planned date lies between 2000 and 2100', async (t) => {
  const cases: [string, string][] = [
    ['2026-11-22T09:30:00Z', '2026-11-22T09:30:00.000Z'],
    ['2026-11-22T09:30:00.1239999+02:00', '2026-11-22T07:30:00.123Z'],
    ['2026-11-22t09:30:00z', '2026-11-22T09:30:00.000Z'],
    ['9999-12-31T23:59:59.9999999Z', '2100-01-01T00:00:00.000Z'],
    ['9999-12-31T23:59:59-12:00', '2100-01-01T00:00:00.000Z'],
    ['2099-12-31T23:59:59Z', '2099-12-31T23:59:59.000Z'],
    ['1999-12-31T23:59:59Z', '2000-01-01T00:00:00.000Z'],
    ['1970-01-01T00:00:00Z', '2000-01-01T00:00:00.000Z'],
    ['0001-01-01T00:00:00Z', '2000-01-01T00:00:00.000Z'],
    ['0000-01-01T00:00:00+12:00', '2000-01-01T00:00:00.000Z'],
  ];
  for (const [text, expected] of cases) t.equal(rfc3339(plannedDate(text)), expected, text);
});

void t.test('a shown date has four digits of the year, whatever it is', async (t) => {
  const cases: [number, string][] = [
    [0, '1970-01-01T00:00:00.000Z'],
    [Date.UTC(10_000, 0, 1), '9999-12-31T23:59:59.999Z'],
    [8.64e15, '9999-12-31T23:59:59.999Z'],
    [1e18, '9999-12-31T23:59:59.999Z'],
    [Number.POSITIVE_INFINITY, '9999-12-31T23:59:59.999Z'],
    [-8.64e15, '0000-01-01T00:00:00.000Z'],
    [-1e18, '0000-01-01T00:00:00.000Z'],
  ];
  for (const [ms, expected] of cases) t.equal(rfc3339(ms), expected);
});
