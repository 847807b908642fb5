import { mayWaitUntil, retryPause } from '@khumbu/operations/jobs/retry-pause';
import t from 'tap';

const now = { wall: 0, monotonic: 1000 };
const DAY_S = 86_400;
const base = { intervalS: 30, maxRetryAfterS: DAY_S, triesLeft: 2, deadlineAt: 1000 + DAY_S * 1000 };
const seconds = (wish: Partial<Parameters<typeof retryPause>[0]>) => {
  const { notBefore, waitingFor } = retryPause({ ...base, ...wish }, now);
  return `${(notBefore - now.monotonic) / 1000} ${waitingFor}`;
};

void t.test('how long the next try waits', async (t) => {
  t.equal(seconds({}), '30 retry');
  t.equal(seconds({ retryAfterS: 120 }), '120 retry_after', 'as the server asks');
  t.equal(seconds({ retryAfterS: 10 }), '30 retry', 'never sooner than the request asks');
  t.equal(seconds({ retryAfterS: 0 }), '30 retry');
  t.equal(seconds({ retryAfterS: 3600 }), '3600 retry_after', 'an hour is an hour');
  t.equal(
    seconds({ retryAfterS: 50_000 }),
    '50000 retry_after',
    'more than its share of the time, and before the deadline',
  );
  t.equal(seconds({ retryAfterS: DAY_S - 900 }), '85500 retry_after', 'a quarter of an hour is left');
  t.equal(seconds({ retryAfterS: DAY_S - 899 }), '900 retry_after');
  t.equal(
    seconds({ retryAfterS: DAY_S, deadlineAt: base.deadlineAt + 211 }),
    '900 retry_after',
    'the clock of who set the deadline was ahead',
  );
  t.equal(seconds({ retryAfterS: 50_000, maxRetryAfterS: 900 }), '900 retry_after', 'no longer than the setting');
  t.equal(seconds({ retryAfterS: 50_000, maxRetryAfterS: 0 }), '30 retry', 'the setting may say never');
  for (const retryAfterS of [DAY_S, 100_000, 99_999_999_999, 1e12])
    t.equal(seconds({ retryAfterS, intervalS: 0 }), '900 retry_after', `${retryAfterS}: never at once`);
  t.equal(seconds({ retryAfterS: 1e12, intervalS: 1000 }), '1000 retry');
  t.equal(seconds({ retryAfterS: 1e12, maxRetryAfterS: 60 }), '60 retry_after');
  t.equal(seconds({ retryAfterS: 1e12, maxRetryAfterS: 0 }), '30 retry');
  t.equal(seconds({ retryAfterS: 1e12, deadlineAt: 1000 + 60_000 }), '20 retry_after', 'its share of a minute');
  t.equal(seconds({ retryAfterS: 1e12, maxRetryAfterS: 1e12, deadlineAt: undefined }), `${1e12} retry_after`);
});

void t.test('nobody waits so long that a try is lost', async (t) => {
  const update = { request: { retries: 3 }, tries: 0, deadlineAt: 4000 };
  const at = { monotonic: 0 };
  t.equal(mayWaitUntil(1000, update, { tries: 9 }, at), true, 'a share of the time');
  t.equal(mayWaitUntil(1001, update, { tries: 9 }, at), false);
  t.equal(mayWaitUntil(2000, { ...update, tries: 2 }, { tries: 9 }, at), true, 'the last try may wait for longer');
  t.equal(mayWaitUntil(401, { ...update, request: {} }, { tries: 9 }, at), false, 'by the setting');
  t.equal(mayWaitUntil(1e9, { request: { retries: 3 }, tries: 0 }, { tries: 9 }, at), true, 'no deadline');
});

void t.test('whatever anybody asks for, the tries that are left come before the deadline', async (t) => {
  t.equal(seconds({ intervalS: 2_147_483_647 }), `${DAY_S / 3} retry`, 'an interval of 68 years');
  t.equal(seconds({ intervalS: 2_147_483_647, triesLeft: 1 }), `${DAY_S / 2} retry`);
  t.equal(
    seconds({ retryAfterS: 80_000, triesLeft: 9 }),
    '80000 retry_after',
    'the tries that are left share the rest',
  );
  t.equal(seconds({ deadlineAt: 500 }), '0 retry', 'past it');
  t.equal(seconds({ deadlineAt: undefined, intervalS: 100_000 }), '100000 retry', 'no deadline');
  for (const triesLeft of [1, 2, 5, 100]) {
    for (const wish of [
      { intervalS: 2e9 },
      { retryAfterS: 80_000, maxRetryAfterS: 1e9 },
      { retryAfterS: 1e12, maxRetryAfterS: 1e12 },
    ]) {
      let at = now.monotonic;
      for (let left = triesLeft; left > 0; left--)
        at = retryPause({ ...base, ...wish, triesLeft: left }, { wall: 0, monotonic: at }).notBefore;
      t.ok(at < base.deadlineAt, `${triesLeft} tries, ${JSON.stringify(wish)}`);
    }
  }
});
