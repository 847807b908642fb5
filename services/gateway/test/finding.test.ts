/** Filters, orders, windows and totals of stations and operations over REST. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { ended } from '@khumbu/operations/records/record';
import { trimEnded } from '@khumbu/operations/records/retention';
import { observedHost } from '@khumbu/operations/stations/observed-host';
import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { logRecord, resetRecord, updateRecord } from '@khumbu/operations/test/make-records';
import { startRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { type Json, openRest, type Rest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

const STATIONS = {
  'n-1': { type: 'dc-180', labels: { site: 'north', row: 'a' } },
  'n-2': { type: 'dc-180', labels: { site: 'north', row: 'b' } },
  's-1': { type: 'ac-22', labels: { site: 'south' }, dialect: 'ocpp1.6' },
  's-2': { labels: { site: 'south' } },
};
const NOW = Date.now();
const MINUTE = 60_000;

async function openDepot(t: Parameters<typeof openRest>[0]): Promise<Rest> {
  const rest = await openRest(t, { redis, stations: STATIONS, unconfigured: ['unconfigured'] });
  const versions = { 'n-1': '2.9', 'n-2': '2.10', 's-1': '2.10-rc1' };
  for (const [station, version] of Object.entries(versions)) {
    const evidence = { bootId: 'b', version };
    const observed = observedHost(undefined, evidence, { bootEpoch: 0, asked: momentOf(NOW) });
    await rest.redis.hset(rest.store.keys.station(station), STATION_FIELDS.observed, JSON.stringify(observed));
  }
  const seen = { 'n-1': NOW - MINUTE, 'n-2': NOW - 90 * MINUTE, 's-1': NOW - 3 * MINUTE };
  for (const [station, at] of Object.entries(seen))
    await rest.redis.hset(rest.store.keys.station(station), STATION_FIELDS.lastSeenAt, String(at));
  await rest.redis.hset(rest.store.keys.station('n-2'), STATION_FIELDS.awaySince, String(NOW));
  return rest;
}
const query = (parameters: Record<string, string | number | boolean>): string =>
  Object.entries(parameters)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join('&');
const namesOf = ({ body }: { body: Json }): string[] => body.items.map((one: Json) => one.stationId);

void t.test('stations are chosen by labels, type, version, state, last words and dialect', async (t) => {
  const rest = await openDepot(t);
  const found: Record<string, string[]> = {
    'label.site = north': ['n-1', 'n-2'],
    'label.site = north and label.row != a': ['n-2'],
    'type = dc-180 and not state = away': ['n-1'],
    'type != dc-180': ['s-1', 's-2', 'unconfigured'],
    'version >= 2.10': ['n-2'],
    'version < 2.10': ['n-1', 's-1'],
    'lastSeen > now-5m': ['n-1', 's-1'],
    'lastSeen < now-1h': ['n-2'],
    'dialect = ocpp1.6 or station = n-1': ['n-1', 's-1'],
    'state = not_listed': ['unconfigured'],
    'station ~ "?-1"': ['n-1', 's-1'],
    'driver = simulated and label.site in (south, west)': ['s-1', 's-2'],
    'label.site = west': [],
  };
  for (const [filter, names] of Object.entries(found)) {
    const page = await rest.call('GET', `/v1/stations?${query({ filter, total: true })}`);
    t.strictSame([page.status, namesOf(page), page.body.total], [200, names, names.length], filter);
  }
  const [first] = (await rest.call('GET', '/v1/stations?limit=1')).body.items;
  t.match(first, { stationId: 'n-1', type: 'dc-180', labels: { site: 'north', row: 'a' } });
  t.notOk(first.ownLabels);
  t.equal((await rest.call('GET', '/v1/stations?limit=1&total=true')).body.total, 5);
  t.notOk((await rest.call('GET', '/v1/stations?limit=1')).body.total);
});

void t.test('stations come in the order that was asked for, in pages', async (t) => {
  const rest = await openDepot(t);
  const all = async (parameters: Record<string, string>): Promise<string[]> => {
    const names: string[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = await rest.call(
        'GET',
        `/v1/stations?${query({ ...parameters, limit: 2, ...(cursor ? { cursor } : {}) })}`,
      );
      names.push(...namesOf(page));
      cursor = page.body.nextCursor;
      if (cursor === undefined) return names;
    }
  };
  t.strictSame(await all({ sort: 'version' }), ['n-1', 's-1', 'n-2', 's-2', 'unconfigured']);
  t.strictSame(await all({ sort: '-lastSeenAt' }), ['unconfigured', 's-2', 'n-1', 's-1', 'n-2']);
  t.strictSame(await all({ sort: '-stationId', filter: 'label.site ~ *' }), ['s-2', 's-1', 'n-2', 'n-1']);
  const since = new Date(NOW - 5 * MINUTE).toISOString();
  t.strictSame(await all({ since }), ['n-1', 's-1']);
  t.strictSame(await all({ until: since }), ['n-2']);
  const { nextCursor } = (await rest.call('GET', '/v1/stations?sort=version&limit=1')).body;
  for (const sort of ['-version', 'lastSeenAt']) {
    const refused = await rest.call('GET', `/v1/stations?cursor=${nextCursor}&sort=${sort}`);
    t.match(refused, { status: 400, body: { code: 'CURSOR_INVALID' } }, sort);
  }
});

void t.test('a filter that cannot be read says where, and what could have stood there', async (t) => {
  const rest = await openDepot(t);
  const refused = await rest.call('GET', `/v1/stations?${query({ filter: 'label.site = north and sites = x' })}`);
  t.match(refused, { status: 400, body: { code: 'PARAMETER_INVALID' } });
  const [error] = refused.body.errors;
  t.match(error, { parameter: 'filter', in: 'query', position: 23, length: 5 });
  t.ok(error.allowed.includes('lastSeen'));
  const wrong = await rest.call('GET', `/v1/operations?${query({ filter: 'status = Sleeping' })}`);
  t.match(wrong.body.errors[0], { position: 9, length: 8 });
  t.ok(wrong.body.errors[0].allowed.includes('Downloading'));
  t.match(await rest.call('GET', `/v1/operations?${query({ filter: ' ' })}`), { status: 400 });
  t.match(await rest.call('GET', '/v1/operations?filter='), { status: 400 });
  for (const since of ['2026-11-29', '2016-12-31T23:59:60Z'])
    t.match(await rest.call('GET', `/v1/operations?since=${since}`), {
      status: 400,
      body: { code: 'PARAMETER_INVALID' },
    });
});

const put = async ({ store }: Rest, record: OperationRecord): Promise<string> => {
  if (!(await store.commit(store.transaction().put(record)))) throw new Error('not stored');
  return record.id;
};
const over = (record: OperationRecord, state: string, at: number, reason?: string): OperationRecord => {
  const outcome = reason === undefined ? { ok: true } : { ok: false, reason: reason as 'deadline' };
  return ended({ ...record, state } as never, momentOf(at), outcome) as OperationRecord;
};
const at = (minutes: number) => ({ createdAt: NOW - minutes * MINUTE, updatedAt: NOW - minutes * MINUTE });

/** Five of them, by what they are called below. */
async function fill(rest: Rest): Promise<void> {
  const update = { ...updateRecord({ id: 'update', station: 'n-1', state: 'Downloading' }), ...at(10) };
  await put(rest, update);
  await put(rest, { ...logRecord({ id: 'log', station: 's-1', origin: 'rest', state: 'Uploading' }), ...at(5) });
  const old = {
    ...logRecord({ id: 'old', station: 'n-2', origin: 'rest' }),
    ...at(60),
    askedBy: 'anna',
    title: 'Weekly',
  };
  await put(rest, over(old, 'UploadFailure', NOW - 50 * MINUTE, 'deadline'));
  const reset = { ...resetRecord({ id: 'reset', station: 'n-1', origin: 'rest' }), ...at(30), orderId: 'bulk-1' };
  await put(rest, over(reset, 'Restarted', NOW - 29 * MINUTE));
  await put(rest, over({ ...logRecord({ id: 'done', station: 's-1' }), ...at(20) }, 'Uploaded', NOW - MINUTE));
}
const idsOf = ({ body }: { body: Json }): string[] => body.items.map((one: Json) => one.operationId);

void t.test('operations are chosen by what they are and by what their stations are', async (t) => {
  const rest = await openDepot(t);
  await fill(rest);
  const found: Record<string, string[]> = {
    'status = open': ['log', 'update'],
    'status != open': ['done', 'reset', 'old'],
    'status in (Uploading, Restarted)': ['log', 'reset'],
    'status ~ Upload*': ['log', 'done', 'old'],
    'kind = log_upload and not status = ended': ['log'],
    'kind != log_upload': ['update', 'reset'],
    'ok = false': ['old'],
    'ok != true': ['log', 'update', 'old'],
    'reason = deadline': ['old'],
    'askedBy = anna and title = Weekly': ['old'],
    'orderId = bulk-1': ['reset'],
    'origin = everest': ['update', 'done'],
    'createdAt > now-15m': ['log', 'update'],
    'endedAt < now-10m': ['reset', 'old'],
    'station = n-1': ['update', 'reset'],
    'station != n-1': ['log', 'done', 'old'],
    'station ~ "n-*"': ['update', 'reset', 'old'],
    'label.site = south': ['log', 'done'],
    'not label.site = south': ['update', 'reset', 'old'],
    'version >= 2.10 or type = ac-22': ['log', 'done', 'old'],
    'state = away and kind = log_upload': ['old'],
  };
  for (const [filter, ids] of Object.entries(found)) {
    const page = await rest.call('GET', `/v1/operations?${query({ filter, total: true })}`);
    t.strictSame([page.status, idsOf(page), page.body.total], [200, ids, ids.length], filter);
  }
  const get = async (parameters: Record<string, string | number>): Promise<string[]> =>
    idsOf(await rest.call('GET', `/v1/operations?${query(parameters)}`));
  t.strictSame(await get({ sort: 'createdAt' }), ['old', 'reset', 'done', 'update', 'log']);
  t.strictSame(await get({ sort: '-updatedAt' }), ['done', 'log', 'update', 'reset', 'old']);
  const since = new Date(NOW - 30 * MINUTE).toISOString();
  t.strictSame(await get({ since, sort: '-createdAt' }), ['log', 'update', 'done', 'reset']);
  t.strictSame(await get({ until: since, kind: 'log_upload', origin: 'rest', station: 'n-2' }), ['old']);
  t.strictSame(await get({ since, status: 'ended' }), ['done', 'reset']);
  const paged: string[] = [];
  for (let cursor = ''; ; ) {
    const page = await rest.call('GET', `/v1/operations?sort=-createdAt&limit=2${cursor}`);
    paged.push(...idsOf(page));
    if (page.body.nextCursor === undefined) break;
    cursor = `&cursor=${page.body.nextCursor}`;
  }
  t.strictSame(paged, ['log', 'update', 'done', 'reset', 'old']);
  const total = await rest.call('GET', '/v1/operations?total=true&limit=1');
  t.strictSame([idsOf(total), total.body.total], [['log'], 5]);
  const wrong = await rest.call('GET', `/v1/operations?sort=createdAt&cursor=${total.body.nextCursor}`);
  t.match(wrong, { status: 400, body: { code: 'CURSOR_INVALID' } });
});

void t.test('the total may be asked for on one page and not on the next', async (t) => {
  const rest = await openDepot(t);
  await fill(rest);
  for (const list of ['operations', 'stations']) {
    const get = (cursor: string | undefined, total: boolean): Promise<{ status: number; body: Json }> =>
      rest.call('GET', `/v1/${list}?limit=2${total ? '&total=true' : ''}${cursor ? `&cursor=${cursor}` : ''}`);
    const name = ({ operationId, stationId }: Json): string => (list === 'operations' ? operationId : stationId);
    const all: string[] = (await rest.call('GET', `/v1/${list}`)).body.items.map(name);
    t.equal(all.length, 5);
    for (const wanted of [
      [true, false, true],
      [false, true, false],
    ]) {
      const names: string[] = [];
      let cursor: string | undefined;
      for (const total of wanted) {
        const page = await get(cursor, total);
        t.strictSame([page.status, page.body.total], [200, total ? 5 : undefined], `${list} ${wanted.join()}`);
        names.push(...page.body.items.map(name));
        cursor = page.body.nextCursor;
      }
      t.strictSame([names, cursor], [all, undefined]);
    }
  }
});

void t.test('what moves on moves in the table, and what is removed leaves it', async (t) => {
  const rest = await openDepot(t);
  await fill(rest);
  const count = async (filter: string): Promise<number> =>
    (await rest.call('GET', `/v1/operations?${query({ filter, total: true })}`)).body.total;
  t.equal(await count('status = Downloading'), 1);
  const update = await rest.store.load('update', 'firmware_update');
  await rest.store.commit(rest.store.transaction().put({ ...update, state: 'Downloaded' } as OperationRecord));
  t.strictSame([await count('status = Downloading'), await count('status = Downloaded')], [0, 1]);
  const { keys } = rest.store;
  t.equal(await trimEnded(rest.redis, keys, { perStation: 0, days: 1 }, NOW), 3);
  t.strictSame([await count('status = ended'), await count('status = open')], [0, 2]);
  t.equal(await rest.redis.llen(`${keys.index}row-free`), 3);
  await put(rest, logRecord({ id: 'next', station: 's-2' }));
  t.equal(await rest.redis.get(`${keys.index}row-count`), '5');
  t.equal(await count('station = s-2'), 1);
});

void t.test('what is looked at before a gateway serves, the first list does not look at again', async (t) => {
  const rest = await openDepot(t);
  for (let n = 0; n < 600; n += 100) {
    const transaction = rest.store.transaction();
    for (let m = n; m < n + 100; m++) {
      transaction.put(over(updateRecord({ id: `w${m}`, station: 'n-1' }), 'Installed', NOW));
    }
    t.ok(await rest.store.commit(transaction));
  }
  await rest.inventory.warmUp();
  await rest.redis.config('RESETSTAT');
  t.equal((await rest.call('GET', '/v1/operations?total=true')).body.total, 600);
  const looks = /cmdstat_zrevrange:calls=(\d+)/.exec(await rest.redis.info('commandstats'))?.[1] ?? '0';
  // A look at what is open and at the newest that have ended is due every second.
  t.ok(Number(looks) <= 2, `${looks} looks at ids`);
  t.notMatch(await rest.redis.info('commandstats'), /cmdstat_hscan/);
});
