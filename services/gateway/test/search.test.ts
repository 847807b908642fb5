/** Operations are found by any of their facets, whatever version of the software has stored them. */

import { logUpload, resetRecord, update } from '@khumbu/intake/test/fixtures';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { createIndexKeeper } from '@khumbu/operations/records/index-keeper';
import { ended } from '@khumbu/operations/records/record';
import { startRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { createSearch, type Search } from '../src/http/search.js';
import { type Json, openRest, type Rest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());
const NOW = 1_800_000_000_000;

/** Operations of all kinds, open and ended, of both origins, at several stations; the same every time. */
function operations(): OperationRecord[] {
  const made: OperationRecord[] = [];
  for (let n = 0; n < 240; n++) {
    const base = {
      id: `op-${String(n).padStart(3, '0')}`,
      station: `s${n % 5}`,
      origin: n % 3 === 0 ? ('rest' as const) : ('everest' as const),
      // Some at the very same moment.
      createdAt: NOW + Math.floor(n / 4),
    };
    const [open, state] = [
      [update('Downloading', base), 'Installed'],
      [update('Downloaded', base), 'DownloadFailed'],
      [logUpload('Uploading', base), 'Uploaded'],
      [resetRecord('Resetting', base), 'Restarted'],
    ][n % 4] as [OperationRecord, string];
    const isOver = n % 7 < 4;
    made.push(isOver ? ended({ ...open, state } as never, momentOf(NOW + Math.floor(n / 3)), { ok: true }) : open);
  }
  return made;
}

/** As commit 82e0d90 does. */
async function storeAsBefore({ redis, store: { keys } }: Rest, record: OperationRecord): Promise<void> {
  const { id, station, schema, createdAt, endedAt } = record;
  const stored = JSON.stringify({ ...record, version: 1 });
  const transaction = redis.multi().hset(keys.record(id), 'version', '1', 'schema', String(schema), 'data', stored);
  if (endedAt === undefined) transaction.zadd(keys.open, createdAt, id);
  else transaction.zadd(keys.ended, endedAt, id).zadd(keys.endedOf(station), endedAt, id);
  await transaction.exec();
}

async function idsOf(rest: Rest, query: string): Promise<string[]> {
  const ids: string[] = [];
  let cursor = '';
  do {
    const { status, body } = await rest.call('GET', `/v1/operations?limit=7${query}${cursor}`);
    if (status !== 200) throw new Error(JSON.stringify(body));
    ids.push(...body.items.map((item: Json) => item.operationId));
    cursor = body.nextCursor === undefined ? '' : `&cursor=${body.nextCursor}`;
  } while (cursor !== '');
  return ids;
}

for (const [how, store] of [
  [
    'of this version',
    async (rest: Rest, record: OperationRecord) => void (await rest.store.commit(rest.store.transaction().put(record))),
  ],
  ['of the version before', storeAsBefore],
] as const) {
  void t.test(`all facets find what a look at every record finds: records ${how}`, async (t) => {
    const all = operations();
    const rest = await openRest(t, { redis, stations: { s0: {}, s1: {}, s2: {}, s3: {}, s4: {} } });
    for (const record of all) await store(rest, record);
    const order = (a: OperationRecord, b: OperationRecord): number => {
      const [aEnd, bEnd] = [a.endedAt ?? Number.POSITIVE_INFINITY, b.endedAt ?? Number.POSITIVE_INFINITY];
      if (aEnd !== bEnd) return bEnd - aEnd;
      if (a.endedAt === undefined && a.createdAt !== b.createdAt) return b.createdAt - a.createdAt;
      return a.id < b.id ? 1 : -1;
    };
    for (const status of ['', 'open', 'ended', 'Downloading', 'Installed', 'Uploaded', 'Restarted', 'Idle'])
      for (const station of ['', 's2', 'nobody'])
        for (const kind of ['', 'firmware_update', 'reset'])
          for (const origin of ['', 'rest']) {
            const parameters = Object.entries({ status, station, kind, origin }).filter(([, value]) => value !== '');
            const query = parameters.map(([name, value]) => `&${name}=${value}`).join('');
            const wanted = all
              .filter((record) => {
                if (station !== '' && record.station !== station) return false;
                if (kind !== '' && record.kind !== kind) return false;
                if (origin !== '' && record.origin !== origin) return false;
                if (status === 'open' || status === 'ended')
                  return (record.endedAt !== undefined) === (status === 'ended');
                return status === '' || record.state === status;
              })
              .sort(order)
              .map(({ id }) => id);
            t.strictSame(await idsOf(rest, query), wanted, query || 'everything');
          }
  });
}

void t.test('what an older process removed is not found, and is forgotten by the index', async (t) => {
  const rest = await openRest(t, { redis, stations: { s0: {} } });
  const { store, redis: connection } = rest;
  const record = ended(update('Installed', { id: 'gone', station: 's0' }), momentOf(NOW), { ok: true });
  await store.commit(store.transaction().put(record));
  await connection.del(store.keys.record('gone'));
  await connection.zrem(store.keys.ended, 'gone');
  t.strictSame(await idsOf(rest, '&status=Installed'), []);
  t.equal(await connection.exists(`${store.keys.index}ended:state:Installed`), 0);
});

void t.test('what ends while a page is made lets no other operation be passed over', async (t) => {
  const { store, redis: connection } = await openRest(t, { redis, stations: { s0: {} } });
  const all = Array.from({ length: 450 }, (_, n) =>
    update('Downloading', { id: `page-${String(n).padStart(3, '0')}`, station: 's0', createdAt: NOW + n }),
  );
  for (const record of all) await store.commit(store.transaction().put(record));
  const newest = all.toReversed();
  const ending = newest.slice(20, 150);
  let looks = 0;
  /** Once a good part of the first batch has been read, what stands in it ends. */
  const breathe = async (): Promise<void> => {
    looks += 1;
    if (looks !== 7) return;
    for (const { id } of ending) {
      const record = await store.load(id);
      if (record)
        await store.commit(
          store
            .transaction()
            .put(ended({ ...record, state: 'Installed' } as never, momentOf(NOW + 1000), { ok: true })),
        );
    }
  };
  const search = createSearch(connection, store, createIndexKeeper(connection, store), breathe);
  const found = new Set<string>();
  for (let wanted: Search | undefined = { limit: 500 }; wanted !== undefined; ) {
    const { records, nextCursor }: Awaited<ReturnType<typeof search>> = await search(wanted);
    for (const { id } of records) found.add(id);
    wanted = nextCursor === undefined ? undefined : { limit: 500, cursor: nextCursor };
  }
  t.ok(looks > 7);
  t.strictSame(
    all.filter(({ id }) => !found.has(id)).map(({ id }) => id),
    [],
    'all are found',
  );
});
