import { momentOf } from '@khumbu/operations/clock/depot-clock';
import {
  fetchDelivered,
  fetchEnded,
  fetchKey,
  joinFetch,
  newFetch,
} from '@khumbu/operations/kinds/firmware-fetch/record';
import { tellSystemTime } from '@khumbu/operations/kinds/set-system-time/record';
import { ended } from '@khumbu/operations/records/record';
import { trimEnded } from '@khumbu/operations/records/retention';
import t from 'tap';
import { logRecord, updateRecord } from './make-records.js';
import { AT, entry, fresh, NOW, redis, stored } from './store-stage.js';

void t.test('what is open, what has ended, what keeps its slot', async (t) => {
  const { store } = fresh();
  const index = async (id: string): Promise<string> => {
    const found = [];
    if ((await store.openIds()).includes(id)) found.push('open');
    if ((await redis.zscore(store.keys.ended, id)) !== null) found.push('ended');
    if ((await redis.zscore(store.keys.endedOf('cp1'), id)) !== null) found.push('of cp1');
    return found.join(' ');
  };
  let log = await stored(store, logRecord());
  t.equal(await index(log.id), 'open');
  log = await stored(store, ended({ ...log, state: 'Uploaded' }, AT, { ok: true }));
  t.equal(await index(log.id), 'ended of cp1');

  let update = await stored(
    store,
    ended(updateRecord({ state: 'InstallationFailed', slotHeld: true }), AT, { ok: false }),
  );
  t.equal(await index(update.id), 'open ended of cp1');
  const { slotHeld: _slotHeld, ...released } = update;
  update = await stored(store, released);
  t.equal(await index(update.id), 'ended of cp1');

  let clock = await stored(
    store,
    tellSystemTime(undefined, 'cp1', { value: 1, toldAtRedisMs: 1, origin: 'everest' }, AT),
  );
  t.equal(await index(clock.id), 'open');
  clock = await stored(store, ended({ ...clock, state: 'Done' }, AT, { ok: true }));
  t.equal(await index(clock.id), '');
  clock = await stored(store, tellSystemTime(clock, 'cp1', { value: 2, toldAtRedisMs: 2, origin: 'everest' }, AT));
  t.equal(await index(clock.id), 'open');
  t.match(clock, { value: 2, endedAt: undefined, outcome: undefined });

  let fetch = await stored(store, joinFetch(newFetch('firmware-fetch-x', 'l', AT), 'op', 'l', AT).fetch);
  t.equal(await index(fetch.id), 'open');
  fetch = await stored(store, fetchEnded(fetch, { ok: true, image: { sha256: 'a', sizeBytes: 1 } }, undefined, AT));
  t.equal(await index(fetch.id), 'open');
  fetch = await stored(store, fetchDelivered(fetch, AT));
  t.equal(await index(fetch.id), '', 'not an operation of anybody');
  fetch = await stored(store, joinFetch(fetch, 'op2', 'l', AT).fetch);
  t.equal(await index(fetch.id), 'open', 'what runs again is not up for removal');

  t.same((await store.operationsOf('cp1')).map(({ kind }) => kind).sort(), [
    'firmware_update',
    'log_upload',
    'set_system_time',
  ]);
});

void t.test('nothing is left of operations that were removed', async (t) => {
  const { store, prefix } = fresh();
  for (let i = 0; i < 6; i++) {
    const record = await stored(store, logRecord({ answerKey: `k${i}` }));
    const end = ended({ ...record, state: 'UploadFailure' as const }, momentOf(NOW + i), { ok: false });
    await store.commit(
      store
        .transaction()
        .put(end)
        .enqueueStatus('cp1', [entry(String(i))])
        .answer('cp1', `k${i}`, { reply: 1 }),
    );
  }
  const kept = await stored(
    store,
    ended(updateRecord({ state: 'InstallationFailed', slotHeld: true }), momentOf(NOW - 1), { ok: false }),
  );
  t.equal(await trimEnded(redis, store.keys, { perStation: 3, days: 30 }, NOW + 10), 3);
  t.equal((await store.operationsOf('cp1')).length, 4, 'three, and the one that keeps its slot');
  t.equal(await trimEnded(redis, store.keys, { perStation: 3, days: 1 }, NOW + 3 * 24 * 3600_000), 3);
  t.same(
    (await store.operationsOf('cp1')).map(({ id }) => id),
    [kept.id],
  );
  for (const { id } of await store.outboxEntries('cp1')) await store.popOutbox('cp1', id);

  const left: string[] = [];
  for (const key of await redis.keys(`${prefix}:*`)) {
    if ((await redis.pttl(key)) < 0) left.push(key.slice(prefix.length + 1).replace(kept.id, 'KEPT'));
  }
  // Of the table of operations what does not grow: rows that are free are used again.
  const table = ['index:row-count', 'index:row-free', 'index:row-ids', 'index:row-marks', 'index:rows:0'];
  t.strictSame(await redis.hvals(store.keys.rowIds), [kept.id]);
  t.equal(await redis.llen(`${store.keys.index}row-free`), 6);
  const index = [
    'index:ended:kind:firmware_update',
    'index:ended:origin:everest',
    'index:ended:state:InstallationFailed',
  ];
  // What was done stays in the security log, which has a retention of its own.
  const log = 'security:pending';
  t.same(left.sort(), [
    'ended',
    'ended-stations',
    'ended:cp1',
    'events',
    ...index,
    ...table,
    'open',
    'record:KEPT',
    log,
  ]);
});

void t.test('operations of a station that was never heard are removed, too', async (t) => {
  const { store, prefix } = fresh();
  for (let i = 0; i < 4; i++) {
    await stored(
      store,
      ended({ ...logRecord({ station: 'silent' }), state: 'Canceled' as const }, momentOf(NOW + i), { ok: false }),
    );
  }
  t.equal(await trimEnded(redis, store.keys, { perStation: 3, days: 30 }, NOW + 10), 1);
  t.equal(await trimEnded(redis, store.keys, { perStation: 3, days: 1 }, NOW + 3 * 24 * 3600_000), 3);
  // What was done there stays in the security log, which has a retention of its own.
  t.same((await redis.keys(`${prefix}:*`)).toSorted(), [store.keys.events, store.keys.securityPending].toSorted());
});

void t.test('a fetch is kept while it runs or holds an image; one that got nothing expires', async (t) => {
  const { store } = fresh();
  const ttl = (id: string): Promise<number> => redis.pttl(store.keys.record(id));
  const held = { image: { sha256: 'a'.repeat(64), sizeBytes: 1 }, fetchedAt: NOW };
  const { id, location } = fetchKey('http://h/f', []);
  const begun = await stored(store, joinFetch(newFetch(id, location, AT), 'update-1', location, AT).fetch);
  t.equal(await ttl(id), -1);
  const failed = fetchEnded(begun, { ok: false, permanent: true, reason: 'http_404', message: 'no' }, undefined, AT);
  const fruitless = await stored(store, fetchDelivered(await stored(store, failed), AT));
  t.ok((await ttl(id)) > 0, 'nobody misses it');
  t.same(await store.openIds(), []);

  const again = await stored(store, joinFetch(fruitless, 'update-2', location, AT).fetch);
  t.equal(await ttl(id), -1, 'wanted again');
  const good = fetchEnded(again, { ok: true, image: held.image }, held, AT);
  await stored(store, fetchDelivered(await stored(store, good), AT));
  t.equal(await ttl(id), -1);
  t.same([...(await store.namedImages())], [held.image.sha256]);
  t.same([...(await store.neededImages())], [], 'no update needs it');
  t.equal(await trimEnded(redis, store.keys, { perStation: 3, days: 1 }, NOW + 3 * 24 * 3600_000), 1);
  t.same([...(await store.namedImages())], []);
});
