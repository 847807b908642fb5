import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import t from 'tap';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

void t.test('a deadline fires although nobody holds it and garbage is collected', async (t) => {
  const timer = setInterval(collect, 20);
  t.teardown(() => clearInterval(timer));
  const outer = new AbortController();
  const fired = new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('it has not fired')), 30_000);
    const { signal } = deadlineAfter(300, outer.signal, undefined);
    signal.addEventListener('abort', ({ currentTarget }) => {
      clearTimeout(late);
      resolve((currentTarget as AbortSignal).reason);
    });
  });
  t.match(await fired, { name: 'TimeoutError', message: /300 ms/ });
});

void t.test('a deadline ends with the first of its signals, and not after what it was for', async (t) => {
  const outer = new AbortController();
  const { signal, clear } = deadlineAfter(3_600_000, outer.signal);
  outer.abort(new Error('enough'));
  t.ok(signal.aborted);
  t.match(signal.reason, { message: 'enough' });
  clear();
  const aborted = AbortSignal.abort(new Error('before'));
  t.match(deadlineAfter(3_600_000, aborted).signal, { aborted: true, reason: { message: 'before' } });

  const over = deadlineAfter(50);
  over.clear();
  over.clear();
  const other = deadlineAfter(200);
  // Of two limits the later one.
  const keepAlive = setTimeout(() => undefined, 30_000);
  await once(other.signal, 'abort');
  clearTimeout(keepAlive);
  t.notOk(over.signal.aborted);
});
