import t from 'tap';
import { mergeRuns } from '../src/runtime/merge-runs.js';

/** Runs that go on until they are told to end. */
function stage() {
  const underWay: { readonly end: () => void; readonly fail: (error: Error) => void }[] = [];
  let [begun, most] = [0, 0];
  const ask = mergeRuns(async () => {
    begun += 1;
    const run = new Promise<void>((resolve, reject) => {
      underWay.push({ end: resolve, fail: reject });
      most = Math.max(most, underWay.length);
    });
    await run.finally(() => underWay.shift());
  });
  return { ask, begun: () => begun, most: () => most, current: () => underWay[0] };
}

void t.test('all calls during a run are served by one more', async (t) => {
  const { ask, begun, most, current } = stage();
  const first = ask();
  const others = Array.from({ length: 100 }, () => ask());
  t.equal(begun(), 1);
  current()?.end();
  await first;
  const late = ask();
  t.equal(begun(), 2, 'one more for all that asked');
  current()?.end();
  await Promise.all([...others, late]);
  t.strictSame([begun(), most()], [2, 1], 'never two at once');
  const last = ask();
  t.equal(begun(), 3, 'another question, another run');
  current()?.end();
  await last;
});

void t.test('one that fails is told to those it was for, and the next one begins', async (t) => {
  const { ask, current } = stage();
  const first = ask();
  const second = ask();
  current()?.fail(new Error('no store'));
  await t.rejects(first, { message: 'no store' });
  current()?.end();
  await second;
});
