import t from 'tap';
import { createSenderQueue } from '../src/mqtt/session/sender-queue.js';
import { fullBuckets, treat } from '../src/mqtt/session/token-bucket.js';
import { createLogLimiter, createRateLimitedLog } from '../src/rate-limited-log.js';

void t.test('one that sends a thousand delays another by one', async (t) => {
  const queue = createSenderQueue({ atOnce: 2, perSender: 1 });
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const work = (name: string) => () => {
    begun.push(name);
    return new Promise<void>((resolve) => ends.push(resolve));
  };
  const all = [1, 2, 3, 4].map((n) => queue.take('flood', work(`flood ${n}`)));
  t.same(begun, ['flood 1'], 'one of a sender at once, at once');
  all.push(queue.take('a', work('a 1')), queue.take('b', work('b 1')), queue.take('a', work('a 2')));
  t.same(begun, ['flood 1', 'a 1'], 'as many as there are places');
  t.equal(queue.waitingOf('flood'), 3);
  const next = async () => {
    ends.shift()?.();
    await new Promise(setImmediate);
  };
  await next();
  t.same(begun.slice(2), ['flood 2']);
  await next();
  t.same(begun.slice(3), ['b 1'], 'who has not had a turn comes before who has');
  await next();
  t.same(begun.slice(4), ['a 2']);
  while (ends.length > 0) await next();
  await Promise.all(all);
  t.same(
    begun.filter((name) => name.startsWith('flood')),
    ['flood 1', 'flood 2', 'flood 3', 'flood 4'],
    'in order',
  );
  t.equal(queue.waitingOf('flood'), 0);
});

void t.test('work that fails gives its place back', async (t) => {
  const queue = createSenderQueue({ atOnce: 1, perSender: 1 });
  await t.rejects(queue.take('a', () => Promise.reject(new Error('no'))));
  await t.rejects(
    queue.take('a', () => {
      throw new Error('at once');
    }),
  );
  let done = false;
  await queue.take('a', () => {
    done = true;
  });
  t.ok(done);
});

void t.test('what a station may send', async (t) => {
  const one = fullBuckets(10, 0);
  const many = (count: number, now: number, bytes = 10) =>
    Array.from({ length: count }, () => treat(one, bytes, 10, now));
  t.same(many(20, 0), Array(20).fill('serve'), 'a burst of two seconds');
  t.same(many(20, 0), Array(20).fill('refuse'), 'as many again get the default');
  t.same(many(2, 0), ['drop', 'drop']);
  t.same(many(3, 150), ['serve', 'serve', 'refuse'], 'what a while brings back');
  t.same(many(1, 1e6), ['serve']);
  const other = fullBuckets(10, 0);
  t.same(
    Array.from({ length: 3 }, () => treat(other, 256 * 1024, 10, 0)),
    ['serve', 'refuse', 'drop'],
    'a long message counts as many',
  );
});

void t.test('lines that anybody can cause', async (t) => {
  const lines: [object, string][] = [];
  const log = { info: (what: object, text: string) => lines.push([what, text]) };
  let now = 0;
  const limitedLog = createRateLimitedLog(log as never, () => now);
  for (let n = 0; n < 50; n++) limitedLog.info({ n }, 'bad');
  limitedLog.info({}, 'other');
  t.equal(lines.length, 21);
  now = 10_000;
  limitedLog.info({ n: 50 }, 'bad');
  t.same(lines.at(-1), [{ n: 50, alsoLeftOut: 30 }, 'bad']);
});

void t.test('so many lines of one kind in a while', async (t) => {
  let now = 0;
  const limiter = createLogLimiter(() => now);
  for (let line = 0; line < 20; line++) t.equal(limiter('a'), 0);
  t.equal(limiter('a'), undefined);
  t.equal(limiter('b'), 0);
  now = 10_000;
  t.equal(limiter('a'), 1);
});
