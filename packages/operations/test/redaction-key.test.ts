import { followRedactionKey, redactionKey } from '@khumbu/operations/files/redaction-key';
import { keysFor } from '@khumbu/operations/records/keys';
import { awaitUntil } from '@khumbu/test-support/events';
import t, { type Test } from 'tap';
import { newPrefix, redis } from './store-stage.js';

/** Redis as it is when its memory is used up: it answers, and takes nothing more. */
async function whileFull(act: () => Promise<void>): Promise<void> {
  await redis.config('SET', 'maxmemory', '1');
  try {
    await act();
  } finally {
    await redis.config('SET', 'maxmemory', '0');
  }
}

/** Follows it; what it warned of; and ends with the test. */
async function follow(t: Test, keys: ReturnType<typeof keysFor>) {
  const warnings: string[] = [];
  const infos: unknown[] = [];
  const stops: (() => unknown)[] = [];
  let tries = 0;
  const current = await followRedactionKey({
    redis: {
      get: (name: string) => {
        tries += 1;
        return redis.get(name);
      },
      set: redis.set.bind(redis),
    } as Pick<typeof redis, 'get' | 'set'>,
    keys,
    life: { onStop: (_what, stop) => void stops.push(stop) },
    log: {
      warn: (...[{ err }]: [{ err: Error }]) => void warnings.push(err.message),
      info: (text: unknown) => void infos.push(text),
    } as never,
    everyMs: 20,
    againMs: 20,
  });
  t.teardown(() => stops.forEach((stop) => void stop()));
  return { current, warnings, infos, tries: () => tries, stop: () => stops.forEach((stop) => void stop()) };
}

void t.test('one key a depot, made by whoever asks first', async (t) => {
  const keys = keysFor(newPrefix());
  const made = await Promise.all([redactionKey(redis, keys), redactionKey(redis, keys)]);
  t.equal(made[0], made[1]);
  t.ok(made[0].length >= 43);
  t.equal(await redactionKey(redis, keys), made[0]);
  t.not(await redactionKey(redis, keysFor(newPrefix())), made[0]);
});

void t.test('one that is there is read from a Redis that takes no writes', async (t) => {
  const keys = keysFor(newPrefix());
  const made = await redactionKey(redis, keys);
  await whileFull(async () => {
    t.equal(await redactionKey(redis, keys), made);
    await t.rejects(redactionKey(redis, keysFor(newPrefix())), /OOM/);
  });
});

void t.test('a process starts without one while Redis takes no writes, and has the depot’s once it does', async (t) => {
  const keys = keysFor(newPrefix());
  await whileFull(async () => {
    const { current, warnings, tries } = await follow(t, keys);
    const own = current();
    t.ok(own.length >= 43);
    t.not((await follow(t, keys)).current(), own, 'another process has another one');
    await awaitUntil(() => tries() > 3, 2000, 'some more tries');
    t.equal(current(), own, 'the same all the while');
    t.equal(warnings.length, 1, 'warned once');
    t.match(warnings[0], /OOM/);
  });
  const { current, warnings } = await follow(t, keys);
  t.equal(current(), await redis.get(keys.redactionKey));
  t.same(warnings, []);
});

void t.test('who began without one gets it, and follows one that is made anew', async (t) => {
  const keys = keysFor(newPrefix());
  let followed: Awaited<ReturnType<typeof follow>> | undefined;
  await whileFull(async () => {
    followed = await follow(t, keys);
  });
  if (!followed) throw new Error('not followed');
  const { current, infos, stop } = followed;
  const isCurrent = async (): Promise<boolean> => current() === (await redis.get(keys.redactionKey));
  await awaitUntil(isCurrent, 2000, 'the key of the depot');
  t.equal(infos.length, 1);
  const first = current();
  await redis.del(keys.redactionKey);
  await awaitUntil(async () => current() !== first && (await isCurrent()), 2000, 'the new one');
  stop();
});

void t.test('a key that is too short is told with what to do, and stops nobody', async (t) => {
  const keys = keysFor(newPrefix());
  await redis.set(keys.redactionKey, 'x'.repeat(31));
  const problem = { code: 'REDACTION_KEY_SHORT', message: new RegExp(`32 characters: delete ${keys.redactionKey} in`) };
  await t.rejects(redactionKey(redis, keys), problem);
  const { current, warnings } = await follow(t, keys);
  t.match(warnings[0], problem.message);
  t.ok(current().length >= 43);
  await redis.set(keys.redactionKey, 'x'.repeat(32));
  await awaitUntil(() => current() === 'x'.repeat(32), 2000, 'one that is long enough');
});
