import { createLogger } from '@khumbu/shared/runtime/logger';
import { awaitUntil } from '@khumbu/test-support/events';
import t, { type Test } from 'tap';
import { createUnanswered, MAX_UNACKNOWLEDGED } from '../src/mqtt/inbound/unanswered.js';
import { createKeyedQueue } from '../src/mqtt/session/keyed-queue.js';
import { createRetryUntilClosed } from '../src/mqtt/session/retry-until-closed.js';
import { createRateLimitedLog } from '../src/rate-limited-log.js';

const log = createLogger('test', 'silent');

/** What happens to each message is written down in order. */
function place(test: Test, work: (name: string) => Promise<void> = async () => undefined) {
  const over = new AbortController();
  test.teardown(() => over.abort());
  const done: string[] = [];
  let leads = true;
  const unanswered = createUnanswered({
    queue: createKeyedQueue(),
    retryUntilClosed: createRetryUntilClosed(over.signal, log),
    standing: () => (leads ? 'leading' : 'refusing'),
    limitedLog: createRateLimitedLog(log),
  });
  return {
    done,
    over,
    lead: (now: boolean): void => {
      leads = now;
    },
    ask: async (name: string, line = 'cs-1', meaning = 'permission'): Promise<void> => {
      await unanswered({
        queueKey: line,
        meaning,
        message: {
          acknowledge: () => void done.push(`${name} acknowledged`),
          stepAside: () => void done.push(`${name} aside`),
        },
        what: 'a permission',
        work: async () => {
          await work(name);
          done.push(`${name} stored`);
        },
      });
      done.push(`${name} over`);
    },
  };
}

void t.test('of what means the same the newest waits for all', async (t) => {
  const p = place(t);
  p.lead(false);
  const all = [p.ask('a'), p.ask('b'), p.ask('other', 'cs-1', 'Soft'), p.ask('c')];
  await Promise.all(all.slice(0, 2));
  t.same(p.done, ['a acknowledged', 'b acknowledged', 'a over', 'b over']);
  p.lead(true);
  await Promise.all(all);
  t.same(
    p.done.filter((text) => text.endsWith('stored')),
    ['other stored', 'c stored'],
  );
});

void t.test('what comes while another is tried may be too late for it, and counts by itself', async (t) => {
  const trying: (() => void)[] = [];
  const p = place(t, () => new Promise((resolve) => trying.push(resolve)));
  const first = p.ask('a');
  await awaitUntil(() => trying.length === 1, 1000, 'the first try');
  const second = p.ask('b');
  trying[0]?.();
  await first;
  await awaitUntil(() => trying.length === 2, 1000, 'the second');
  trying[1]?.();
  await second;
  t.same(p.done, ['a stored', 'a over', 'b stored', 'b over']);
});

void t.test('what fails is left to the newer one that came meanwhile', async (t) => {
  const trying: ((error: Error) => void)[] = [];
  const p = place(t, (name) =>
    name === 'b' ? Promise.resolve() : new Promise((_resolve, reject) => trying.push(reject)),
  );
  const first = p.ask('a');
  await awaitUntil(() => trying.length === 1, 1000, 'the first try');
  const second = p.ask('b');
  trying[0]?.(new Error('Redis is out'));
  await Promise.all([first, second]);
  t.same(p.done, ['a acknowledged', 'a over', 'b stored', 'b over']);
});

void t.test('only so much waits unacknowledged; all of it is done', async (t) => {
  const p = place(t);
  p.lead(false);
  const names = Array.from({ length: MAX_UNACKNOWLEDGED + 3 }, (_, index) => `m${index}`);
  const all = names.map((name) => p.ask(name, name));
  const count = (what: string): number => p.done.filter((text) => text.endsWith(what)).length;
  await awaitUntil(() => count('over') === 3, 2000, 'what is too much to be over');
  t.equal(count('aside'), names.length, 'nobody stands in another’s way');
  t.equal(count('acknowledged'), 3);
  p.lead(true);
  await Promise.all(all);
  await awaitUntil(() => count('stored') === names.length, 2000, 'everything to be stored');
  t.equal(count('acknowledged'), 3);
});

void t.test('what waits when the session is over is for the next one', async (t) => {
  const p = place(t);
  p.lead(false);
  const waits = p.ask('a');
  p.over.abort();
  await t.rejects(waits, { code: 'NOT_LEADING' });
  t.same(p.done, []);
});
