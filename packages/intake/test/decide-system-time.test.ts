import t from 'tap';
import { decideSystemTime } from '../src/decide-system-time.js';

void t.test('set_system_time: what no CSMS in its right mind tells is refused', async (t) => {
  t.equal(decideSystemTime('2026-05-06T07:08:09.250Z'), Date.UTC(2026, 4, 6, 7, 8, 9, 250));
  t.equal(decideSystemTime('2026-05-06T07:08:09+02:00'), Date.UTC(2026, 4, 6, 5, 8, 9));
  for (const text of ['1970-01-01T00:00:00Z', '2023-12-31T23:59:59Z', '2100-01-01T00:00:00Z', 'now', ''])
    t.equal(decideSystemTime(text), undefined, text);
});
