import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { putOff } from '@khumbu/operations/jobs/job-loop';
import { auditEnded } from '@khumbu/operations/kinds/audit';
import {
  fetchDelivered,
  fetchEnded,
  fetchKey,
  joinFetch,
  newFetch,
} from '@khumbu/operations/kinds/firmware-fetch/record';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { confirmOffer, failOffer, offer, withdrawOffer } from '@khumbu/operations/kinds/offer';
import { type SystemTimeRecord, tellSystemTime } from '@khumbu/operations/kinds/set-system-time/record';
import { createStore, type Store, type Transaction } from '@khumbu/operations/kinds/store';
import { outboxEntry } from '@khumbu/operations/outbox/new-entry';
import { slotField } from '@khumbu/operations/records/keys';
import { subscribeNotifications } from '@khumbu/operations/records/notifications';
import { ended } from '@khumbu/operations/records/record';
import { trimEnded } from '@khumbu/operations/records/retention';
import { readStationState } from '@khumbu/operations/stations/station-state';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { collector, within } from '@khumbu/test-support/events';
import { openRedis } from '@khumbu/test-support/redis';
import { Redis } from 'ioredis';
import t, { type Test } from 'tap';
import { logRecord, networkRecord, updateRecord } from './make-records.js';

const NOW = 1_800_000_000_000;
const AT = momentOf(NOW);
const { server, redis } = await openRedis(t, t.testdir({}));
let count = 0;
const fresh = (): { store: Store; prefix: string } => {
  const prefix = `t${++count}`;
  return { store: createStore(redis, prefix), prefix };
};
const entry = (text: string) => outboxEntry('log_status', 'op', text, AT);
const texts = async (store: Store, station = 'cp1'): Promise<unknown[]> =>
  (await store.outboxEntries(station)).map(({ payload }) => payload);
const stored = async <R extends OperationRecord>(store: Store, record: R): Promise<R> => {
  if (!(await store.commit(store.transaction().put(record)))) throw new Error('not stored');
  return (await store.load(record.id)) as R;
};

void t.test('an ended operation has one audit line, by whoever ended it', async (t) => {
  const lines: unknown[] = [];
  const log = createLogger('test', 'info', { write: (line: string) => lines.push(JSON.parse(line)) });
  const store = createStore(redis, `t${++count}`, auditEnded(log));
  const open = await stored(store, logRecord({ requestId: 7 }));
  const end = ended({ ...open, state: 'UploadFailure' as const }, AT, {
    ok: false,
    reason: 'denied',
    message: 'https://user:secret@files.example/x said no',
  });
  t.notOk(await store.commit(store.transaction().put({ ...end, version: 9 })));
  t.same(lines, [], 'not for what was not stored, and not for what goes on');
  t.ok(await store.commit(store.transaction().put(end)));
  t.equal(lines.length, 1);
  t.match(lines[0], {
    audit: true,
    operationId: open.id,
    kind: 'log_upload',
    station: 'cp1',
    origin: 'everest',
    request_id: 7,
    status: 'UploadFailure',
    outcome: { ok: false, reason: 'denied' },
  });
  t.notMatch(JSON.stringify(lines), /secret/);
});

void t.test('an end is told and audited once, however often what has ended is put', async (t) => {
  const lines: string[] = [];
  const log = createLogger('test', 'info', { write: (line: string) => lines.push(line) });
  const store = createStore(redis, `t${++count}`, auditEnded(log));
  const told = async (): Promise<unknown[]> => {
    const all = await redis.xrange(store.keys.events, '-', '+');
    return all.map(([, fields]) => {
      const { operationId, ended: isEnd } = JSON.parse(String(fields[fields.indexOf('event') + 1]));
      return `${operationId} ${isEnd ? 'ended' : 'open'}`;
    });
  };
  const open = await stored(store, updateRecord({ id: 'up', state: 'Installing' }));
  const held: FirmwareUpdateRecord = { ...open, state: 'InstallationFailed', slotHeld: true };
  let update = await stored(store, ended(held, AT, { ok: false }));
  t.same(await told(), ['up open', 'up ended']);
  for (let tries = 0; tries < 3; tries++) {
    update = await stored(store, putOff(update, 10_000, 'station_busy', momentOf(NOW + tries)));
  }
  t.match(update, { version: 5, run: 4, waitingFor: 'station_busy' }, 'stored all the same');
  const { slotHeld: _held, ...released } = update;
  await stored(store, released);
  t.same(await told(), ['up open', 'up ended']);
  t.equal(lines.length, 1);

  const time = { value: 1, toldAtRedisMs: 1, origin: 'rest' } as const;
  let clock: SystemTimeRecord | undefined;
  for (let times = 0; times < 2; times++) {
    clock = await stored(store, tellSystemTime(clock, 'cp1', time, AT));
    clock = await stored(store, ended({ ...clock, state: 'Done' as const }, AT, { ok: true }));
  }
  t.same(
    (await told()).slice(2),
    ['open', 'ended', 'open', 'ended'].map((word) => `${clock?.id} ${word}`),
    'what is used again ends again',
  );
  t.equal(lines.length, 3);
});

void t.test('a commit holds when everything is as it was decided from', async (t) => {
  const { store } = fresh();
  const record = logRecord();
  t.equal(await store.load(record.id), undefined);
  t.ok(await store.commit(store.transaction().put(record)));
  t.same(await store.load(record.id), { ...record, version: 1 });
  t.notOk(await store.commit(store.transaction().put(record)), 'it is not new any more');
  const one = (await store.load(record.id)) as typeof record;
  t.ok(await store.commit(store.transaction().put({ ...one, tries: 1 })));
  t.notOk(await store.commit(store.transaction().put({ ...one, tries: 2 })), 'someone was faster');
  t.match(await store.load(record.id), { version: 2, tries: 1 });
  t.notOk(await store.commit(store.transaction().put({ ...logRecord(), version: 4 })), 'it never was');

  type Guard = [string, (transaction: Transaction) => Transaction, boolean];
  await redis.hset(store.keys.station('cp1'), { bootEpoch: '3' });
  const guards: Guard[] = [
    ['station field as it was', (transaction) => transaction.expectStation('cp1', 'bootEpoch', '3'), true],
    ['station field changed', (transaction) => transaction.expectStation('cp1', 'bootEpoch', '2'), false],
    ['station field not absent', (transaction) => transaction.expectStation('cp1', 'bootEpoch', undefined), false],
    ['station field absent', (transaction) => transaction.expectStation('cp1', 'slot:reset', undefined), true],
    ['station field gone', (transaction) => transaction.expectStation('cp1', 'slot:reset', 'x'), false],
    ['station unknown', (transaction) => transaction.expectStation('nobody', 'bootEpoch', undefined), true],
    ['other record as it was', (transaction) => transaction.expectRecord(record.id, 2), true],
    ['other record moved on', (transaction) => transaction.expectRecord(record.id, 1), false],
    ['other record absent', (transaction) => transaction.expectRecord('log-upload-x', 0), true],
    ['other record not absent', (transaction) => transaction.expectRecord(record.id, 0), false],
  ];
  for (const [what, guard, holds] of guards) {
    const other = logRecord({ station: 'cp2' });
    const transaction = store
      .transaction()
      .put(other)
      .setStation('cp2', { mark: what })
      .enqueueStatus('cp2', [entry(what)]);
    t.equal((await store.commit(guard(transaction).answer('cp2', what, { reply: what }))) !== undefined, holds, what);
    t.equal((await store.load(other.id)) !== undefined, holds, `${what}: all or nothing`);
    t.equal((await store.station('cp2')).mark === what, holds);
    t.equal((await store.stationAndAnswer('cp2', what)).answer !== undefined, holds);
    t.equal((await texts(store, 'cp2')).includes(what), holds);
  }
});

void t.test('a commit that Redis has run already is not run again', async (t) => {
  // What a broken connection does: the script had run, its answer was lost, ioredis sends it once more.
  const { prefix } = fresh();
  const twice = new Redis(server.url);
  t.teardown(() => twice.disconnect());
  const store = createStore(twice, prefix);
  const run = twice.khumbuCommit.bind(twice);
  const answers: number[] = [];
  twice.khumbuCommit = async (commit: string) => {
    answers.push(await run(commit), await run(commit));
    return answers.at(-1) as number;
  };
  const record = logRecord();
  const transaction = store
    .transaction()
    .setStation('cp1', { [slotField('log_upload')]: record.id })
    .put(record);
  t.ok(await store.commit(transaction.enqueueStatus('cp1', [entry('a'), entry('b')])));
  t.same(answers, [1, 1]);
  t.match(await store.load(record.id), { version: 1 });
  t.same(await texts(store), ['a', 'b'], 'told once');

  // The boot of a station is counted without a record.
  const epoch = store.transaction().expectStation('cp1', 'bootEpoch', undefined).setStation('cp1', { bootEpoch: '1' });
  t.ok(await store.commit(epoch), 'also without a record: a boot is not counted twice');
  const guard = store.transaction().expectStation('cp1', 'bootEpoch', '0').setStation('cp1', { bootEpoch: '9' });
  t.notOk(await store.commit(guard), 'a conflict stays one');
  t.same((await store.station('cp1')).bootEpoch, '1');
});

void t.test('the connection breaks between a commit and its answer', async (t) => {
  const { prefix } = fresh();
  const broken = new Redis(server.url, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
  t.teardown(() => broken.disconnect());
  const store = createStore(broken, prefix);
  const record = await stored(store, logRecord());
  server.freeze();
  const committed = store.commit(
    store
      .transaction()
      .put({ ...record, tries: 1 })
      .enqueueStatus('cp1', [entry('once')]),
  );
  // Written to the socket of a server that holds it; the client gives the connection up and sends it again on another.
  await new Promise((resolve) => setImmediate(resolve));
  broken.disconnect(true);
  server.thaw();
  t.ok(await within(committed, 10_000, 'the commit'));
  t.match(await store.load(record.id), { version: 2, tries: 1 });
  t.same(await texts(store), ['once']);
});

void t.test('what is told keeps its order and leaves when it was told', async (t) => {
  const { store } = fresh();
  const record = logRecord();
  await store.commit(
    store
      .transaction()
      .enqueueStatus('cp1', [entry('1'), entry('2')])
      .put(record)
      .enqueueStatus('cp1', [entry('3')]),
  );
  await store.commit(
    store
      .transaction()
      .put({ ...record, version: 1 })
      .enqueueStatus('cp1', [])
      .enqueueStatus('cp1', [entry('4')]),
  );
  t.same(await texts(store), ['1', '2', '3', '4']);
  t.same(await store.stationsWithOutbox(), ['cp1']);
  const head = await store.headOfOutbox('cp1');
  t.match(head, { payload: '1', operationId: 'op', channel: 'log_status' });
  const id = head?.id ?? '';
  t.equal(await store.popOutbox('cp1', id), true);
  t.equal(await store.popOutbox('cp1', id), true, 'again: nothing else is taken');
  t.same(await texts(store), ['2', '3', '4']);
  for (const { id: next } of await store.outboxEntries('cp1')) await store.popOutbox('cp1', next);
  t.same(await store.stationsWithOutbox(), []);
  t.equal(await store.headOfOutbox('cp1'), undefined);
  t.equal(await store.popOutbox('cp1', id), false);
});

void t.test('answers expire, station fields come and go', async (t) => {
  const { store } = fresh();
  await store.commit(
    store.transaction().answer('cp1', 'k', { reply: false, operationId: 'x' }).setStation('cp1', { a: '1', b: '2' }),
  );
  t.match(await store.stationAndAnswer('cp1', 'k'), {
    fields: { a: '1', b: '2' },
    answer: { reply: false, operationId: 'x' },
  });
  t.equal((await store.stationAndAnswer('cp1', 'other')).answer, undefined);
  const ttl = await redis.pttl(store.keys.answer('cp1', 'k'));
  t.ok(ttl > 550_000 && ttl <= 900_000, 'longer than EVerest can wait');
  await store.commit(store.transaction().setStation('cp1', { a: undefined, b: '' }));
  t.match(await store.station('cp1'), { a: undefined, b: '' });
});

void t.test('records of another version of this software', async (t) => {
  const { store } = fresh();
  const record = { ...logRecord(), later: { deep: [1] } };
  const one = await stored(store, record);
  await stored(store, { ...one, tries: 1 });
  t.match(await store.load(record.id), { later: { deep: [1] }, tries: 1 }, 'unknown members are kept');
  const newer = { ...logRecord(), schema: 2 };
  await store.commit(store.transaction().put(newer));
  await t.rejects(store.load(newer.id), { code: 'RECORD_TOO_NEW' });
  t.same(
    (await store.loadMany([newer.id, 'none', record.id])).map(({ id }) => id),
    [record.id],
  );
  t.same(await store.operationsOf('cp1').then((all) => all.map(({ id }) => id)), [record.id]);
});

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
  const index = [
    'index:ended:kind:firmware_update',
    'index:ended:origin:everest',
    'index:ended:state:InstallationFailed',
  ];
  t.same(left.sort(), ['ended', 'ended-stations', 'ended:cp1', 'events', ...index, 'open', 'record:KEPT']);
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
  t.same(await redis.keys(`${prefix}:*`), [`${prefix}:events`]);
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

void t.test('hints reach those who listen', async (t) => {
  const { store, prefix } = fresh();
  const notifications = await subscribeNotifications(new Redis(server.url), store.keys);
  t.teardown(() => notifications.close());
  const heard = collector<string>();
  const off = notifications.on('cancel', (id) => heard.push(`cancel ${id}`));
  notifications.on('outbox', (station) => heard.push(`outbox ${station}`));
  await store.commit(
    store
      .transaction()
      .notifyCancel('op')
      .enqueueStatus('cp 1', [entry('x')]),
  );
  await heard.awaitAll((all) => all.length === 2, 5000, 'both hints');
  off();
  await redis.publish(`${prefix}:hints`, 'nonsense');
  await store.commit(
    store
      .transaction()
      .notifyCancel('op')
      .enqueueStatus('cp2', [entry('x')]),
  );
  t.same(await heard.awaitAll((all) => all.length === 3, 5000, 'the last hint'), [
    'cancel op',
    'outbox cp 1',
    'outbox cp2',
  ]);
});

void t.test('offers', async (t) => {
  const context = { now: AT, dialect: 'ocpp1.6', bootEpoch: 1 } as const;
  const step = { ...context };
  const slotOf = async (store: Store) => readStationState(await store.station('cp1')).slot('firmware_update');
  const said = async (store: Store) =>
    (await store.outboxEntries('cp1')).map(({ operationId, payload }) => [
      operationId,
      (payload as { firmware_update_status: string }).firmware_update_status,
    ]);
  /** An update whose trigger was told, and the offer of another in its place. */
  const twoUpdates = async (t: Test, later: Partial<FirmwareUpdateRecord> = {}) => {
    const { store } = fresh();
    let old = updateRecord({ id: 'old', answerKey: 'old' });
    for (const event of ['confirmed', 'fetchJoined', 'fetched'] as const)
      old = applyUpdateEvent(old, event, step).record;
    await store.commit(
      store
        .transaction()
        .put(old)
        .setStation('cp1', { [slotField('firmware_update')]: 'old' }),
    );
    const next = updateRecord({ id: 'next', supersedes: 'old', answerKey: 'next', ...later });
    const held = (await store.load('old')) as FirmwareUpdateRecord;
    t.ok(
      await store.commit(
        offer(store.transaction(), next, held).answer('cp1', 'next', {
          reply: 'AcceptedCanceled',
          operationId: 'next',
        }),
      ),
    );
    const load = async (id: string) => (await store.load(id)) as FirmwareUpdateRecord;
    t.match(await load('old'), { heldFor: 'next', state: 'Downloaded' }, 'the old one rests');
    t.equal(await slotOf(store), 'next');
    t.same(await said(store), [], 'nothing is told of an offer');
    return { store, load };
  };

  await t.test('confirmed: the old one is closed before the new one is heard of', async (t) => {
    const later = { request: { location: 'x', request_id: 7, retrieve_timestamp: new Date(NOW + 1000).toISOString() } };
    const { store, load } = await twoUpdates(t, later);
    const confirmed = confirmOffer(store.transaction(), await load('next'), await load('old'), context);
    t.ok(await store.commit(confirmed.transaction));
    t.match(await load('old'), { state: 'Superseded', outcome: { reason: 'superseded' }, heldFor: undefined });
    t.match(await load('next'), { state: 'DownloadScheduled', version: 2 });
    t.same(await said(store), [
      ['old', 'InstallationFailed'],
      ['next', 'DownloadScheduled'],
    ]);
    t.same(confirmed.record, { ...(await load('next')), version: 1 });
  });

  await t.test('confirmed when the old one has ended by itself meanwhile', async (t) => {
    const { store, load } = await twoUpdates(t);
    const over = applyUpdateEvent(await load('old'), 'outOfTime', step);
    t.ok(await store.commit(store.transaction().put(over.record)));
    t.ok(
      await store.commit(confirmOffer(store.transaction(), await load('next'), await load('old'), context).transaction),
    );
    t.match(await load('old'), { state: 'InstallationFailed' });
    t.match(await load('next'), { state: 'Accepted' });
    t.same(await said(store), []);
  });

  await t.test('withdrawn: as if nothing had been', async (t) => {
    const { store, load } = await twoUpdates(t);
    const { transaction, resumed } = withdrawOffer(
      store.transaction(),
      await load('next'),
      await load('old'),
      'next',
      context,
    );
    t.ok(await store.commit(transaction));
    t.match(await load('next'), { state: 'Withdrawn', outcome: { ok: false, reason: 'withdrawn' } });
    t.match(await load('old'), { state: 'Downloaded', heldFor: undefined });
    t.equal(resumed?.id, 'old');
    t.equal(await slotOf(store), 'old');
    t.same((await store.stationAndAnswer('cp1', 'next')).answer, { reply: 'Rejected' }, 'asked again, it is rejected');
    t.same(await said(store), []);
  });

  await t.test('failed: both end, in order, and the answer stays', async (t) => {
    const { store, load } = await twoUpdates(t);
    t.ok(await store.commit(failOffer(store.transaction(), await load('next'), await load('old'), context)));
    t.match(await load('old'), { state: 'Superseded', heldFor: undefined });
    t.match(await load('next'), { state: 'DownloadFailed', outcome: { ok: false, reason: 'answer_unconfirmed' } });
    t.same(await said(store), [
      ['old', 'InstallationFailed'],
      ['next', 'DownloadFailed'],
    ]);
    t.match((await store.stationAndAnswer('cp1', 'next')).answer, { reply: 'AcceptedCanceled' });
    t.same(await store.openIds(), []);
  });

  await t.test('withdrawn without anything before it', async (t) => {
    for (const [record, reply] of [
      [logRecord({ answerKey: 'k' }), { upload_logs_status: 'Rejected' }],
      [networkRecord({ answerKey: 'k' }), { status: 'NotSupported' }],
    ] as const) {
      const { store } = fresh();
      t.ok(await store.commit(offer(store.transaction(), record, undefined)));
      const state = readStationState(await store.station('cp1'));
      t.equal(state.slot(record.kind), record.id);
      const back = withdrawOffer(store.transaction(), { ...record, version: 1 }, undefined, record.id, context);
      t.ok(await store.commit(back.transaction));
      t.same(await store.station('cp1'), {});
      t.same((await store.stationAndAnswer('cp1', 'k')).answer, { reply });
      t.same(await store.openIds(), []);
    }
  });

  await t.test('only one of confirm and withdraw takes place', async (t) => {
    const { store, load } = await twoUpdates(t);
    const both = [
      confirmOffer(store.transaction(), await load('next'), await load('old'), context).transaction,
      withdrawOffer(store.transaction(), await load('next'), await load('old'), 'next', context).transaction,
    ];
    const committed = await Promise.all(both.map((transaction) => store.commit(transaction)));
    t.same(
      committed.map((records) => records !== undefined),
      [true, false],
    );
  });
});
