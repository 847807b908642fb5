import { momentOf } from '@khumbu/operations/clock/depot-clock';
import {
  fetchDelivered,
  fetchEnded,
  fetchKey,
  joinFetch,
  newFetch,
} from '@khumbu/operations/kinds/firmware-fetch/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { withoutSecrets } from '@khumbu/operations/kinds/kinds';
import { applyLogEvent } from '@khumbu/operations/kinds/log-upload/record';
import { createStore } from '@khumbu/operations/kinds/store';
import { sweepSecrets } from '@khumbu/operations/records/sweep-secrets';
import { publicLocation } from '@khumbu/shared/locations/location';
import { openRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { logRecord, updateRecord } from './make-records.js';

const NOW = 1_800_000_000_000;
const { redis } = await openRedis(t, t.testdir({}));

const LOCATION = 'https://user:secret@files.example:8443/dir/f.bin?token=secret#secret';
const REASON = `cannot reach ${LOCATION}`;
const SHOWN = 'https://files.example:8443/dir/f.bin';
const context = (at: number) => ({ now: momentOf(NOW + at), dialect: 'ocpp1.6' as const, bootEpoch: 1 });

/** Everything that Redis holds, as text. */
async function everything(): Promise<string> {
  const parts: unknown[] = [];
  for (const key of await redis.keys('*')) {
    const type = await redis.type(key);
    const read: Record<string, () => Promise<unknown>> = {
      string: () => redis.get(key),
      hash: () => redis.hgetall(key),
      list: () => redis.lrange(key, '0', '-1'),
      set: () => redis.smembers(key),
      zset: () => redis.zrange(key, '0', '-1'),
      stream: () => redis.xrange(key, '-', '+'),
    };
    parts.push(key, await read[type]?.());
  }
  return JSON.stringify(parts);
}

void t.test('an operation that has ended leaves no secret of its location in Redis', async (t) => {
  const store = createStore(redis, 'a', undefined, () => momentOf(NOW));
  for (const event of ['gaveUp', 'canceled', 'superseded', 'outOfTime'] as const) {
    const open = updateRecord({
      id: `u-${event}`,
      state: 'Downloading',
      request: { location: LOCATION, request_id: 7 },
    });
    await store.commit(store.transaction().put(open));
    t.match(await store.load(open.id), { request: { location: LOCATION } }, 'every try needs it until the end');
    const detail = { reason: 'http_404', message: REASON } as const;
    const next = applyUpdateEvent({ ...open, version: 1 }, event, { ...context(1) }, detail);
    await store.commit(store.transaction().put(next.record).enqueueStatus('cp1', next.statuses));
    t.match(await store.load(open.id), { request: { location: SHOWN }, endedAt: NOW + 1 });
  }
  const upload = logRecord({ id: 'l', state: 'Uploading', request: { location: LOCATION } });
  await store.commit(store.transaction().put(upload));
  const failed = applyLogEvent(
    { ...upload, version: 1 },
    'failed',
    { ...context(1) },
    {
      message: REASON,
    },
  );
  await store.commit(store.transaction().put(failed.record));

  const { id, location } = fetchKey(LOCATION, []);
  const running = joinFetch(newFetch(id, location, momentOf(NOW)), 'u', location, momentOf(NOW)).fetch;
  await store.commit(store.transaction().put(running));
  t.match(await store.load(id), { location }, 'as long as it is fetched');
  const held = { image: { sha256: 'x', sizeBytes: 1 }, fetchedAt: NOW };
  const over = fetchEnded({ ...running, version: 1 }, { ok: true, image: held.image }, held, momentOf(NOW));
  await store.commit(store.transaction().put(over));
  await store.commit(store.transaction().put(fetchDelivered({ ...over, version: 2 }, momentOf(NOW))));
  t.match(await store.load(id), { state: 'Resting', location: SHOWN });

  t.notMatch(await everything(), /secret/);
  const again = joinFetch((await store.load(id)) as typeof running, 'v', location, momentOf(NOW)).fetch;
  t.equal(again.location, location, 'whoever wants it anew brings it along');
});

void t.test('places of archives stay what they are, and what was shown is shown', async (t) => {
  const cases = ['s3://bucket/a/b%20c.gz', LOCATION, 'https://h/x', 'http:user:secret@h', '', 'ftp://u:p@h/x'];
  for (const location of cases) {
    const record = logRecord({ request: { location } });
    const kept = withoutSecrets(record) as typeof record;
    t.equal(publicLocation(kept.request.location), publicLocation(location), location);
    t.notMatch(JSON.stringify(kept), /secret/);
    t.strictSame(withoutSecrets(kept), kept, 'once is enough');
  }
  t.match(withoutSecrets(logRecord({ request: { location: 's3://bucket/a/b%20c.gz' } })), {
    request: { location: 's3://bucket/a/b%20c.gz' },
  });
});

void t.test('what an older version has kept is swept, and told to nobody once more', async (t) => {
  const ended: string[] = [];
  const store = createStore(
    redis,
    'b',
    (record) => ended.push(record.id),
    () => momentOf(NOW),
  );
  const old = updateRecord({
    id: 'old',
    version: 4,
    state: 'InstallationFailed',
    endedAt: NOW,
    request: { location: LOCATION, request_id: 7 },
    outcome: { ok: false, reason: 'x', message: REASON },
  });
  await redis.hset(store.keys.record('old'), { version: '4', schema: '1', data: JSON.stringify(old) });
  await redis.zadd(store.keys.ended, NOW, 'old');
  await redis.zadd(store.keys.endedOf('cp1'), NOW, 'old');
  t.same(await sweepSecrets(redis, store, NOW + 1), { cleaned: 0, isWhole: true }, 'not before its time');
  t.same(await sweepSecrets(redis, store, 0), { cleaned: 1, isWhole: true });
  t.match(await store.load('old'), {
    request: { location: SHOWN },
    outcome: { reason: 'x' },
    endedAt: NOW,
    version: 5,
  });
  t.notMatch(await everything(), /secret/);
  t.same([ended, await redis.exists(store.keys.events)], [[], 0], 'no audit line, no event');
  t.same(await sweepSecrets(redis, store, 0), { cleaned: 0, isWhole: true });
});
