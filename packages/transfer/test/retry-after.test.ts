import t from 'tap';
import { retryAfterSeconds } from '../src/http/retry-after.js';

void t.test('a Retry-After in all its spellings', async (t) => {
  const date = 'Sun, 22 Nov 2026 10:00:00 GMT';
  const now = Date.parse(date) - 3600_000;
  const cases: [string | undefined, string | undefined, number | undefined][] = [
    [undefined, date, undefined],
    ['', date, undefined],
    ['0', date, 0],
    [' 120 ', date, 120],
    ['99999999999', date, 99_999_999_999],
    ['9'.repeat(400), date, 1e12],
    ['-5', date, undefined],
    ['1.5', date, undefined],
    ['soon', date, undefined],
    ['2026-11-22T10:01:00Z', date, undefined],
    ['Sun, 22 Nov 2026 10:01:30 GMT', date, 90],
    ['Sun, 22 Nov 2026 09:00:00 GMT', date, 0],
    ['Sunday, 22-Nov-26 10:01:30 GMT', date, 90],
    ['Sun Nov 22 10:01:30 2026', date, 90],
    ['Fri, 31 Dec 9999 23:59:59 GMT', date, 251_606_959_199],
    ['Sun, 22 Nov 2026 10:00:00 GMT', undefined, 3600],
    ['Sun, 22 Nov 2026 10:00:00 GMT', 'nonsense', 3600],
  ];
  for (const [text, at, expected] of cases) t.equal(retryAfterSeconds(text, at, now), expected, text ?? 'none');
});
