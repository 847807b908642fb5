/** Threads that are used again: what is done in one, when there is a new one, and how it ends. */
import { createSharedThreads, createThreads, type Threads, type Work } from '@khumbu/ota-worker/threads/threads';
import t from 'tap';

interface Said {
  readonly order: string;
  readonly count: number;
  /** Pieces of work that it has begun by now. */
  readonly begun: number;
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

void t.test('shared threads: no more of them than allowed, and abort of one work leaves the others', async (t) => {
  const threads = createSharedThreads<string, Said>(new URL('./fixture-thread.js', import.meta.url), 2);
  const told = new AbortController();
  const waits = (signal: AbortSignal) =>
    threads<Said>({ request: 'wait', abort: 'stop', signal, onMessage: (said) => ({ result: said }) });
  const other = new AbortController();
  const work = (): Promise<Said> =>
    threads({ request: 'work', abort: 'stop', signal: never, onMessage: (result) => ({ result }) });
  const held = [waits(told.signal), waits(told.signal), waits(other.signal)];
  t.match(await work(), { begun: 2 }, 'the fourth piece is the second one of its thread');
  told.abort(new Error('enough'));
  t.match(await Promise.all(held.slice(0, 2)), [{ order: 'stop' }, { order: 'stop' }], 'each says its last word');
  t.match(await work(), { begun: 3 }, 'the same thread');
  other.abort(new Error('this one, too'));
  t.match(await held[2], { order: 'stop' }, 'and the third went on until then');
});

void t.test('work whose listener throws is aborted in its thread', async (t) => {
  const threads = createSharedThreads<string, Said>(new URL('./fixture-thread.js', import.meta.url), 1);
  const failing = threads({
    request: 'work',
    abort: 'stop',
    signal: never,
    onMessage: () => {
      throw new Error('the listener is broken');
    },
  });
  await t.rejects(failing, { message: 'the listener is broken' });
  const after = await threads<Said>({
    request: 'work',
    abort: 'stop',
    signal: never,
    onMessage: (result) => ({ result }),
  });
  t.match(after, { begun: 2, count: 3 }, 'the same thread, which was told to stop in between');
});

void t.test('a shared thread that breaks fails all that it does', async (t) => {
  const threads = createSharedThreads<string, Said>(new URL('./fixture-thread.js', import.meta.url), 1);
  const work = (request: string) =>
    threads<Said>({ request, abort: 'stop', signal: never, onMessage: (result) => ({ result }) });
  const [waiting, broken] = [work('wait'), work('throw')];
  await t.rejects(waiting, { message: 'broken' });
  await t.rejects(broken, { message: 'broken' });
  t.match(await work('work'), { begun: 1 }, 'a new thread');
});
