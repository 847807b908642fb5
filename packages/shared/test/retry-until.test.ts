import { resolveWithin, sleep, unlessAborted, whenAborted } from '@khumbu/shared/runtime/abort';
import { repeatUntil, retryUntil } from '@khumbu/shared/runtime/retry-until';
import t from 'tap';

/** Fails so often, then succeeds. */
function flaky(failures: number) {
  let tries = 0;
  const work = async (): Promise<number> => {
    tries += 1;
    if (tries <= failures) throw new Error(`try ${tries}`);
    return tries;
  };
  return { work, tries: () => tries };
}

void t.test('work is tried until it succeeds, and each failure before that is reported', async (t) => {
  const { work } = flaky(3);
  const seen: string[] = [];
  const onFailure = (error: unknown): void => void seen.push((error as Error).message);
  t.equal(await retryUntil(work, { pausesMs: [1, 2], onFailure }), 4);
  t.same(seen, ['try 1', 'try 2', 'try 3']);
});

void t.test('the error of the last try is what it rejects with', async (t) => {
  const limited = flaky(5);
  await t.rejects(retryUntil(limited.work, { pausesMs: [1], tries: 3 }), { message: 'try 3' }, 'no tries are left');
  const final = flaky(5);
  await t.rejects(retryUntil(final.work, { pausesMs: [1], isRetryable: () => false }), { message: 'try 1' });
  t.equal(final.tries(), 1, 'what is not retryable is not tried again');
});

void t.test('a signal ends a pause, and no try follows it', async (t) => {
  const { work, tries } = flaky(5);
  const stopping = new AbortController();
  const retried = retryUntil(work, { pausesMs: [60_000], signal: stopping.signal, onFailure: () => stopping.abort() });
  await t.rejects(retried, { message: 'try 1' });
  t.equal(tries(), 1);
  const ended = flaky(5);
  await t.rejects(retryUntil(ended.work, { pausesMs: [1], signal: stopping.signal }), { message: 'try 1' });
  t.equal(ended.tries(), 1, 'the first try is made all the same');
});

void t.test('work is repeated until the signal fires, whether it fails or not', async (t) => {
  const stopping = new AbortController();
  let rounds = 0;
  const failures: unknown[] = [];
  const round = async (): Promise<void> => {
    rounds += 1;
    if (rounds === 3) stopping.abort();
    if (rounds > 1) throw new Error(`round ${rounds}`);
  };
  await repeatUntil(stopping.signal, 1, round, (error) => failures.push((error as Error).message));
  t.equal(rounds, 3);
  t.same(failures, ['round 2'], 'what fails because of the stop is no failure');
});

void t.test('waiting ends with the signal', async (t) => {
  const stopping = new AbortController();
  const never = new Promise<never>(() => undefined);
  const waits = [sleep(60_000, stopping.signal), whenAborted(stopping.signal)];
  const work = unlessAborted(never, stopping.signal);
  stopping.abort(new Error('stopping'));
  await Promise.all(waits);
  await t.rejects(work, { message: 'stopping' });
  await sleep(60_000, stopping.signal);
  await whenAborted(stopping.signal);
  t.equal(await unlessAborted(Promise.resolve(1), new AbortController().signal), 1);
});

void t.test('work that takes too long is answered for', async (t) => {
  const never = new Promise<never>(() => undefined);
  t.equal(await resolveWithin(never, 1, 'late'), 'late');
  t.equal(await resolveWithin(Promise.resolve('done'), 60_000, 'late'), 'done');
  await t.rejects(resolveWithin(Promise.reject(new Error('failed')), 60_000, 'late'), { message: 'failed' });
});
