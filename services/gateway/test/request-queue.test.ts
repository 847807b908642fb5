import { performance } from 'node:perf_hooks';
import { within } from '@khumbu/test-support/events';
import t from 'tap';
import { createEventLoopTurn } from '../src/http/event-loop-turn.js';
import { createLeakyBucket } from '../src/http/leaky-bucket.js';
import { createRequestQueue } from '../src/http/request-queue.js';

const here = (): boolean => false;
/** Work that ends when it is told to. */
function work(name: string, done: string[]) {
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  return {
    end,
    run: async () => {
      done.push(name);
      await ended;
    },
  };
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

void t.test('so many work at once, and callers take turns however many requests one has', async (t) => {
  const turns = createRequestQueue({ atOnce: 1, mostWaiting: 100, longestWaitMs: 60_000 });
  const begun: string[] = [];
  const names = ['a1', 'a2', 'a3', 'a4', 'b1', 'c1', 'b2'];
  const works = names.map((name) => work(name, begun));
  const all = works.map(({ run }, at) => turns.run(names[at]?.charAt(0) ?? '', here, run));
  for (const _ of names) {
    await settled();
    works[names.indexOf(begun.at(-1) ?? '')]?.end();
  }
  await within(Promise.all(all), 20_000, 'all of them');
  t.strictSame(begun, ['a1', 'a2', 'b1', 'c1', 'a3', 'b2', 'a4']);
  t.equal(turns.waiting(), 0);
});

void t.test('work that fails gives its turn on', async (t) => {
  const turns = createRequestQueue({ atOnce: 1, mostWaiting: 100, longestWaitMs: 60_000 });
  const failing = turns.run('a', here, async () => {
    throw new Error('no');
  });
  const next = turns.run('a', here, async () => 'yes');
  await t.rejects(failing, { message: 'no' });
  t.equal(await next, 'yes');
});

void t.test(
  'who is gone is not served, who waits too long and who finds the line full is told to come again',
  async (t) => {
    const turns = createRequestQueue({ atOnce: 1, mostWaiting: 2, longestWaitMs: 50 });
    const begun: string[] = [];
    const first = work('first', begun);
    const running = turns.run('a', here, first.run);
    const late = [turns.run('a', here, work('late', begun).run), turns.run('b', here, work('late too', begun).run)];
    await t.rejects(turns.run('c', here, work('too many', begun).run), { code: 'READS_BUSY' });
    for (const one of late) await t.rejects(within(one, 20_000, 'its end'), { code: 'READS_BUSY' });
    const gone = turns.run('a', () => true, work('gone', begun).run);
    first.end();
    await running;
    await t.rejects(within(gone, 20_000, 'its end'), { code: 'READS_BUSY' });
    t.strictSame(begun, ['first']);
    t.equal(await turns.run('a', here, async () => 'still working'), 'still working');
  },
);

void t.test('a burst goes out at once, the rest at its pace, and there is an end to waiting', async (t) => {
  const pace = createLeakyBucket({ perSecond: 100, burst: 5, mostWaiting: 10 });
  const began = performance.now();
  const turns = Array.from({ length: 30 }, pace);
  const madeMs = performance.now() - began;
  const taken = turns.filter((turn) => turn !== undefined);
  t.ok(taken.length >= 15 && taken.length <= 17 + madeMs / 10, `${taken.length} are served or wait`);
  await within(Promise.all(taken), 20_000, 'all of them');
  // Ten of them, ten milliseconds each.
  t.ok(performance.now() - began >= 85, 'not faster than the pace');
});

void t.test('one piece of work is done in a turn of the event loop', async (t) => {
  const eventLoopTurn = createEventLoopTurn();
  const order: string[] = [];
  let turn = 0;
  const count = (): void => {
    turn += 1;
    if (turn < 100) setImmediate(count);
  };
  setImmediate(count);
  const piecesOf = async (name: string): Promise<void> => {
    for (let n = 0; n < 5; n++) {
      await eventLoopTurn();
      order.push(`${name} ${turn}`);
    }
  };
  await Promise.all([piecesOf('a'), piecesOf('b'), piecesOf('c')]);
  t.equal(new Set(order.map((text) => text.split(' ')[1])).size, 15, order.join(', '));
});
