/** What operations are found by, kept by the script that stores them, and mended where an older process has stored. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { createStore, type Store } from '@khumbu/operations/kinds/store';
import { createIndexKeeper } from '@khumbu/operations/records/index-keeper';
import { keysOfFacets, type Part } from '@khumbu/operations/records/operation-index';
import { COLUMNS, type Column, columnOf, numberOfWord } from '@khumbu/operations/records/operation-rows';
import { createOperationTable, type OperationTable } from '@khumbu/operations/records/operation-table';
import { ended } from '@khumbu/operations/records/record';
import { trimEnded } from '@khumbu/operations/records/retention';
import { openRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { logRecord, resetRecord, updateRecord } from './make-records.js';

const NOW = 1_800_000_000_000;
const { redis } = await openRedis(t, t.testdir({}));
let count = 0;
const fresh = (): Store => createStore(redis, `i${++count}`);
const put = async <R extends OperationRecord>(store: Store, record: R): Promise<R> => {
  t.ok(await store.commit(store.transaction().put(record)));
  return (await store.load(record.id)) as R;
};
const members = async ({ keys }: Store, part: Part, facets: Parameters<typeof keysOfFacets>[2]): Promise<string[]> => {
  const [first = [], ...others] = await Promise.all(
    keysOfFacets(keys, part, facets).map((key) => redis.zrange(key, '0', '-1')),
  );
  return first.filter((id) => others.every((ids) => ids.includes(id))).sort();
};
/** As commit 82e0d90 stores a record: without a word of the index. */
async function storeAsBefore({ keys }: Store, record: OperationRecord): Promise<OperationRecord> {
  const stored = { ...record, version: record.version + 1 };
  const { id, station, version, schema, createdAt, endedAt } = stored;
  const transaction = redis.multi();
  transaction.hset(
    keys.record(id),
    'version',
    String(version),
    'schema',
    String(schema),
    'data',
    JSON.stringify(stored),
  );
  if (endedAt === undefined) transaction.zadd(keys.open, createdAt, id);
  else {
    transaction.zrem(keys.open, id);
    transaction.zadd(keys.ended, endedAt, id).zadd(keys.endedOf(station), endedAt, id);
    transaction.sadd(keys.endedStations, station);
  }
  await transaction.exec();
  return stored;
}
const endOf = (record: OperationRecord, state: string, at = NOW): OperationRecord =>
  ended({ ...record, state } as never, momentOf(at), { ok: true });

void t.test('a record stands where its kind, state, origin and station say, and nowhere else', async (t) => {
  const store = fresh();
  const update = await put(store, updateRecord({ station: 'a', state: 'Downloading' }));
  const log = await put(store, logRecord({ station: 'b', origin: 'rest', state: 'Uploading' }));
  const reset = await put(store, resetRecord({ station: 'a' }));
  const both = [update.id, reset.id].sort();
  t.strictSame(await members(store, 'open', {}), [...both, log.id].sort());
  t.strictSame(await members(store, 'open', { station: 'a' }), both);
  t.strictSame(await members(store, 'open', { kind: 'log_upload' }), [log.id]);
  t.strictSame(await members(store, 'open', { state: 'Downloading', station: 'a' }), [update.id]);
  t.strictSame(await members(store, 'open', { state: 'Downloading', station: 'b' }), []);
  t.strictSame(await members(store, 'open', { origin: 'rest' }), [log.id]);

  const moved = await put(store, { ...update, state: 'Downloaded' });
  t.strictSame(await members(store, 'open', { state: 'Downloading' }), []);
  t.strictSame(await members(store, 'open', { state: 'Downloaded' }), [update.id]);
  await put(store, endOf(moved, 'DownloadFailed'));
  t.strictSame(await members(store, 'open', { station: 'a' }), [reset.id]);
  t.strictSame(await members(store, 'ended', { state: 'DownloadFailed', station: 'a', origin: 'everest' }), [
    update.id,
  ]);
  t.strictSame(await members(store, 'ended', { station: 'b' }), []);
  t.equal(await redis.zscore(`${store.keys.index}ended:kind:firmware_update`, update.id), String(NOW));
});

void t.test('what was stored without the index is found by it, once somebody looks', async (t) => {
  const store = fresh();
  const open: string[] = [];
  const over: string[] = [];
  for (let n = 0; n < 600; n++) {
    const record = updateRecord({ id: `u${n}`, station: `s${n % 7}`, state: 'Downloading' });
    if (n % 3 === 0) open.push((await storeAsBefore(store, record)).id);
    else over.push((await storeAsBefore(store, endOf(record, 'Installed', NOW + n))).id);
  }
  t.strictSame(await members(store, 'ended', { state: 'Installed' }), []);
  await createIndexKeeper(redis, store).fresh();
  t.strictSame(await members(store, 'open', { state: 'Downloading' }), open.sort());
  t.strictSame(await members(store, 'ended', { state: 'Installed', kind: 'firmware_update' }), over.sort());
});

void t.test('an older process beside this one may go on storing', async (t) => {
  const store = fresh();
  let now = 0;
  const keeper = createIndexKeeper(redis, store, () => now);
  await keeper.fresh();
  const known = await put(store, updateRecord({ id: 'known', state: 'Downloading' }));
  const moved = await storeAsBefore(store, { ...known, state: 'Downloaded' });
  const added = await storeAsBefore(store, logRecord({ id: 'added', state: 'Uploading' }));
  now += 1500;
  await keeper.fresh();
  t.strictSame(await members(store, 'open', { state: 'Downloading' }), []);
  t.strictSame(await members(store, 'open', { state: 'Downloaded' }), ['known']);
  t.strictSame(await members(store, 'open', { state: 'Uploading' }), ['added']);
  await storeAsBefore(store, endOf(added, 'Uploaded'));
  now += 1500;
  await keeper.fresh();
  t.strictSame(await members(store, 'open', { kind: 'log_upload' }), []);
  t.strictSame(await members(store, 'ended', { kind: 'log_upload', state: 'Uploaded' }), ['added']);
  // And what the newer one stores next is moved from where it was put.
  await put(store, { ...moved, state: 'SignatureVerified' } as OperationRecord);
  t.strictSame(await members(store, 'open', { state: 'Downloaded' }), []);

  // Long after the last one of these it is still noticed, only not at once.
  now += 3600_000;
  await keeper.fresh();
  now += 600_000;
  await keeper.fresh();
  await storeAsBefore(store, logRecord({ id: 'late', state: 'Uploading' }));
  now += 31_000;
  await keeper.fresh();
  t.strictSame(await members(store, 'open', { state: 'Uploading' }), ['late']);
});

void t.test('while everything is looked at again nobody waits for that', async (t) => {
  const store = fresh();
  for (let n = 0; n < 300; n++) await put(store, endOf(updateRecord({ id: `x${n}` }), 'Installed', NOW + n));
  const own = redis.duplicate();
  t.teardown(() => own.disconnect());
  let now = 0;
  const keeper = createIndexKeeper(own, store, () => now);
  await keeper.fresh();
  const zrevrange = own.zrevrange.bind(own);
  let goOn = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  Object.assign(own, {
    // Behind the newest ones.
    zrevrange: async (key: string, from: string, to: string) => {
      if (from !== '0') await held;
      return zrevrange(key, from, to);
    },
  });
  const whole = keeper.lookAtAll();
  await storeAsBefore(store, logRecord({ id: 'added', state: 'Uploading' }));
  now += 1500;
  await keeper.fresh();
  t.strictSame(await members(store, 'open', { state: 'Uploading' }), ['added']);
  goOn();
  await whole;
});

void t.test('keepers and commits that meet leave every record in one place', async (t) => {
  const store = fresh();
  const ids = Array.from({ length: 40 }, (_, n) => `r${n}`);
  await Promise.all(ids.map((id) => storeAsBefore(store, updateRecord({ id, state: 'Downloading' }))));
  const advance = async (id: string): Promise<void> => {
    for (const state of ['Downloaded', 'SignatureVerified', 'InstallScheduled'] as const) {
      const record = (await store.load(id)) as OperationRecord;
      await store.commit(store.transaction().put({ ...record, state } as OperationRecord));
    }
  };
  await Promise.all([...ids.map(advance), ...Array.from({ length: 5 }, () => createIndexKeeper(redis, store).fresh())]);
  t.strictSame(await members(store, 'open', { state: 'InstallScheduled' }), [...ids].sort());
  for (const state of ['Downloading', 'Downloaded', 'SignatureVerified'])
    t.strictSame(await members(store, 'open', { state }), [], state);
});

void t.test('a record that is removed is in no set any more, and one of a newer version is left alone', async (t) => {
  const store = fresh();
  for (let n = 0; n < 5; n++) await put(store, endOf(updateRecord({ id: `x${n}` }), 'Installed', NOW + n));
  t.equal(await trimEnded(redis, store.keys, { perStation: 2, days: 3650 }, NOW + 10), 3);
  t.strictSame(await members(store, 'ended', { state: 'Installed' }), ['x3', 'x4']);
  t.strictSame(await members(store, 'ended', { origin: 'everest' }), ['x3', 'x4']);
  await storeAsBefore(store, { ...updateRecord({ id: 'newer' }), schema: 99 });
  await createIndexKeeper(redis, store).fresh();
  t.equal(await redis.hget(store.keys.record('newer'), 'indexed'), null);
});

const tableOf = ({ keys }: Store): OperationTable => createOperationTable(redis, keys, async () => undefined);
/** Ids of the rows whose column says this, in order; `all` of them without a column. */
async function rowsWith(table: OperationTable, column: Column = 'status', word?: string): Promise<string[]> {
  const found: number[] = [];
  for (const { first, rows } of await table.blocks()) {
    for (let row = 0; row * COLUMNS.length < rows.length; row++) {
      const value = rows[row * COLUMNS.length + columnOf(column)] ?? 0;
      if (word === undefined ? value !== 0 : value === numberOfWord(word)) found.push(first + row);
    }
  }
  return (await table.ids(found)).map((id) => id ?? 'free').sort();
}

void t.test('a row says what the record says, and a table that was read before sees what has changed', async (t) => {
  const store = fresh();
  const table = tableOf(store);
  const dates = { createdAt: NOW - 5000, updatedAt: NOW - 4000 };
  const update = await put(store, { ...updateRecord({ id: 'u', station: 'a', state: 'Downloading' }), ...dates });
  await put(store, { ...logRecord({ id: 'l', station: 'b', origin: 'rest', state: 'Uploading' }), askedBy: 'anna' });
  t.strictSame(await rowsWith(table, 'status', 'Downloading'), ['u']);
  t.strictSame(await rowsWith(table, 'askedBy', 'anna'), ['l']);
  const end = {
    ...endOf(update, 'DownloadFailed'),
    outcome: { ok: false, reason: 'no_space' },
    title: 'T',
    orderId: 'o',
  };
  await put(store, end as OperationRecord);
  t.strictSame(await rowsWith(table, 'status', 'Downloading'), []);
  t.strictSame(await rowsWith(table, 'reason', 'no_space'), ['u']);
  const [block] = await table.blocks();
  const words = ['a', 'firmware_update', 'DownloadFailed', 'everest', undefined, 'no_space', 'T', 'o'];
  t.strictSame(
    [...(block?.rows.slice(0, COLUMNS.length) ?? [])],
    [NOW - 5000, NOW, NOW, 2, ...words.map(numberOfWord)],
  );
  t.strictSame(await rowsWith(tableOf(store)), ['l', 'u'], 'as another process reads it');
});

void t.test(
  'the table is made of what an older version has stored, over many blocks, and by many at once',
  async (t) => {
    const store = fresh();
    for (let n = 0; n < 1100; n++) await storeAsBefore(store, updateRecord({ id: `u${n}`, state: 'Downloading' }));
    await storeAsBefore(store, { ...updateRecord({ id: 'newer' }), schema: 99 });
    const table = tableOf(store);
    t.strictSame(await rowsWith(table), []);
    await Promise.all([1, 2, 3].map(() => createIndexKeeper(redis, store).fresh()));
    t.equal((await rowsWith(table)).length, 1100);
    t.equal(await redis.get(`${store.keys.index}row-count`), '1100', 'none has two');
    t.equal((await table.blocks()).length, 3);
  },
);

void t.test('a row is free once its record is gone, whoever has removed it, and is used again', async (t) => {
  const store = fresh();
  const table = tableOf(store);
  let now = 0;
  const keeper = createIndexKeeper(redis, store, () => now);
  for (let n = 0; n < 5; n++) await put(store, endOf(updateRecord({ id: `x${n}` }), 'Installed', NOW + n));
  await keeper.fresh();
  await trimEnded(redis, store.keys, { perStation: 3, days: 3650 }, NOW + 10);
  t.strictSame(await rowsWith(table), ['x2', 'x3', 'x4']);
  // As an older process removes it.
  await redis.del(store.keys.record('x2'));
  await redis.zrem(store.keys.ended, 'x2');
  now += 3601_000;
  await keeper.fresh();
  t.strictSame(await rowsWith(table), ['x3', 'x4']);
  for (let n = 0; n < 4; n++) await put(store, updateRecord({ id: `y${n}` }));
  t.strictSame(await rowsWith(table), ['x3', 'x4', 'y0', 'y1', 'y2', 'y3']);
  t.equal(await redis.get(`${store.keys.index}row-count`), '6');
  t.strictSame(await rowsWith(tableOf(store)), await rowsWith(table), 'nothing of the old rows is left');
});
