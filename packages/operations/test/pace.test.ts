import { createPace } from '@khumbu/operations/events/pace';
import t from 'tap';

void t.test('the rate is that of the last seconds, and what is left follows from it', (t) => {
  const pace = createPace();
  t.same(pace(0, 0, 10_000), {}, 'one word has no rate');
  t.same(pace(500, 400, 10_000), {}, 'nor have two at once');
  t.same(pace(1000, 1000, 10_000), { bytesPerS: 1000, remainingS: 9 });
  t.same(pace(2000, 2000), { bytesPerS: 1000 }, 'nobody knows how many there are');
  for (let at = 3000; at <= 40_000; at += 1000) pace(at, 2000 + (at - 2000) / 10, 10_000);
  t.same(pace(41_000, 5900, 10_000), { bytesPerS: 100, remainingS: 41 }, 'the line got slower');
  t.same(pace(80_000, 5900, 10_000), { bytesPerS: 0 }, 'it stands still');
  t.same(pace(81_000, 100, 10_000), {}, 'another try begins anew');
  t.same(pace(82_000, 10_100, 10_000), { bytesPerS: 10_000, remainingS: 0 });
  t.same(pace(50_000, 10_200, 10_000), {}, 'and so does a clock that was set back');
  t.end();
});
