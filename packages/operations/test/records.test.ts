import { createStore, type Transaction } from '@khumbu/operations/kinds/store';
import { slotField } from '@khumbu/operations/records/keys';
import { within } from '@khumbu/test-support/events';
import { Redis } from 'ioredis';
import t from 'tap';
import { logRecord } from './make-records.js';
import { entry, fresh, redis, server, stored, texts } from './store-stage.js';

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
