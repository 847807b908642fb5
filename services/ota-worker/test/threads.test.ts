/** Threads that are used again: what is done in one, when there is a new one, and how it ends. */
import { createThreads, type Threads, type Work } from '@khumbu/ota-worker/threads/threads';
import t from 'tap';

interface Said {
  readonly order: string;
  readonly count: number;
}

const open = (): Threads<string, Said> => createThreads(new URL('./fixture-thread.js', import.meta.url));
const never = new AbortController().signal;
/** How many pieces of work the thread has done by now. */
const count = (threads: Threads<string, Said>, more: Partial<Work<string, Said, number>> = {}): Promise<number> =>
  threads<number>({ request: 'work', signal: never, onMessage: (said) => ({ result: said.count }), ...more });

void t.test('one thread does one piece of work after the other', async (t) => {
  const threads = open();
  t.equal(await count(threads), 1);
  t.equal(await count(threads), 2);
  const failing = (): never => {
    throw new Error('wrong');
  };
  await t.rejects(count(threads, { onMessage: failing }), { message: 'wrong' });
  t.equal(await count(threads), 4, 'work that failed leaves the thread as it was');
});

void t.test('work at the same time has threads of its own, and two of them stay', async (t) => {
  const threads = open();
  t.same(await Promise.all([count(threads), count(threads), count(threads)]), [1, 1, 1]);
  t.same(
    (await Promise.all([count(threads), count(threads), count(threads)])).toSorted((a, b) => a - b),
    [1, 2, 2],
  );
});

void t.test('a thread that breaks fails its work alone', async (t) => {
  const threads = open();
  await t.rejects(count(threads, { request: 'throw' }), { message: 'broken' });
  await t.rejects(count(threads, { request: 'exit' }), { code: 'THREAD_ENDED' });
  t.equal(await count(threads), 1);
});

void t.test('abort ends the thread, or posts a message that stops it', async (t) => {
  const threads = open();
  t.equal(await count(threads), 1);
  const ended = new AbortController();
  const onMessage = (): undefined => ended.abort(new Error('enough')) as undefined;
  await t.rejects(count(threads, { signal: ended.signal, onMessage }), { message: 'enough' });
  t.equal(await count(threads), 1, 'another thread');
  const told = new AbortController();
  const stopping = ({ order, count: done }: Said): { result: number } | undefined => {
    if (order === 'stop') return { result: done };
    told.abort(new Error('stopped'));
    return undefined;
  };
  t.equal(await count(threads, { signal: told.signal, abort: 'stop', onMessage: stopping }), 3, 'its last word counts');
  t.equal(await count(threads), 4, 'the same thread');
  await t.rejects(count(threads, { signal: told.signal }), { message: 'stopped' });
});

void t.test('what is told late does not reach the next work', async (t) => {
  const threads = open();
  let late: ((message: string) => void) | undefined;
  await count(threads, {
    onMessage(said, { post }) {
      late = post;
      return { result: said.count };
    },
  });
  late?.('late');
  t.equal(await count(threads), 2);
});
