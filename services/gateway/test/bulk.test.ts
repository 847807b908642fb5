/** Labels and types over REST, and one order for many stations. */
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { awaitUntil, within } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { type Called, type Json, KEYS, openRest, type Rest } from './rest-harness.js';

const redis = await startRedis({ dir: t.testdir() });
t.teardown(() => redis.stop());

const STATIONS = {
  'n-1': { type: 'dc-180', labels: { site: 'north', row: 'a' } },
  'n-2': { labels: { site: 'north' } },
  's-1': { labels: { site: 'south' } },
  driverless: { driver: undefined, labels: { site: 'north' } },
};
const openDepot = (t: Parameters<typeof openRest>[0]): Promise<Rest> =>
  openRest(t, { redis, stations: STATIONS, unconfigured: ['unconfigured'] });
const LOCATION = 'https://files.example/charger-2.1.raucb';

void t.test('type and labels are set over REST, label by label, and taken away', async (t) => {
  const rest = await openDepot(t);
  const patch = (body: Json, station = 'n-1', key: string = KEYS.admin): Promise<Called> =>
    rest.call('PATCH', `/v1/stations/${station}`, { body, key });
  const set = await patch({ type: 'dc-200', labels: { row: 'c', phase: '2' } });
  t.match(set, { status: 200, body: { stationId: 'n-1', type: 'dc-200' } });
  t.strictSame(set.body.labels, { site: 'north', row: 'c', phase: '2' });
  t.strictSame(set.body.ownLabels, { row: 'c', phase: '2' });
  const one = await patch({ labels: { row: null } });
  t.strictSame(
    [one.body.labels, one.body.ownLabels, one.body.type],
    [{ site: 'north', row: 'a', phase: '2' }, { phase: '2' }, 'dc-200'],
  );
  const found = await rest.call('GET', '/v1/stations?filter=label.phase%3D2%20and%20type%3Ddc-200');
  t.strictSame(
    found.body.items.map((each: Json) => each.stationId),
    ['n-1'],
  );
  const none = await patch({ type: null, labels: { phase: null } });
  t.equal(none.body.type, 'dc-180');
  t.notOk(none.body.ownLabels);
  t.strictSame(await rest.redis.hmget(rest.store.keys.station('n-1'), 'ownLabels', 'ownType'), [null, null]);
  t.match((await patch({ labels: { site: 'west' } }, 'unconfigured')).body, {
    configured: false,
    labels: { site: 'west' },
  });
  t.match(await patch({}), { status: 200 });
  for (const wrong of [
    { labels: { 'No Name': 'x' } },
    { labels: { a: '' } },
    { labels: { a: 1 } },
    { type: 7 },
    { name: 1 },
  ]) {
    t.match(await patch(wrong), { status: 422, body: { code: 'BODY_INVALID' } }, JSON.stringify(wrong));
  }
  const labels = (from: number) => Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`l${from + n}`, 'x']));
  t.equal((await patch({ labels: labels(0) })).status, 200);
  t.match(await patch({ labels: labels(40) }), { status: 422, body: { errors: [{ pointer: '#/labels' }] } });
  t.match(await patch({ type: 'x' }, 'nobody'), { status: 404, body: { code: 'STATION_UNKNOWN' } });
  t.match(await patch({ type: 'x' }, 'n-1', KEYS.operate), { status: 403 });
  const lines = rest.lines.filter((line) => line.request === 'set_station_groups');
  t.match(lines[0], { audit: true, caller: 'admin', station: 'n-1', type: 'dc-200' });
});

void t.test('one request starts logs of a target, with a result for each station', async (t) => {
  const rest = await openDepot(t);
  const body = {
    target: { filter: 'label.site = north' },
    title: 'North, weekly',
    order: { location: 'https://files.example/in/' },
  };
  const done = await rest.call('POST', '/v1/log-uploads', { body, key: KEYS.operate });
  t.match(done, { status: 200, body: { dryRun: false, total: 2, accepted: 2, refused: 0, title: 'North, weekly' } });
  const operations = await rest.call('GET', `/v1/operations?filter=orderId%3D${done.body.orderId}&total=true`);
  t.equal(operations.body.total, 2);
  for (const { stationId, status, operationId } of done.body.results) {
    const view = (await rest.call('GET', `/v1/operations/${operationId}`)).body;
    t.equal(status, 202);
    t.match(view, {
      stationId,
      kind: 'log_upload',
      title: 'North, weekly',
      orderId: done.body.orderId,
      askedBy: 'operate',
    });
  }
  t.equal(rest.lines.filter((line) => line.audit === true && line.request === 'upload_logs').length, 2);
  const elsewhere = await rest.call('POST', '/v1/log-uploads', { body: { ...body, order: {} } });
  t.match(elsewhere, { status: 422, body: { code: 'NO_OBJECT_STORE' } });
});

void t.test('who refuses does not keep the others from it', async (t) => {
  const rest = await openDepot(t);
  const stations = ['s-1', 'n-1', 'nobody', 'unconfigured', 'driverless'];
  const order = { type: 'Soft' };
  const done = await rest.call('POST', '/v1/resets', { body: { target: { stations }, order } });
  t.match(done.body, { total: 5, accepted: 2, refused: 3 });
  t.strictSame(
    done.body.results.map(({ stationId, status, problem }: Json) => [stationId, status, problem?.code]),
    [
      ['driverless', 409, 'STATION_NOT_CONFIGURED'],
      ['n-1', 202, undefined],
      ['nobody', 404, 'STATION_UNKNOWN'],
      ['s-1', 202, undefined],
      ['unconfigured', 409, 'STATION_NOT_CONFIGURED'],
    ],
  );
  const both = { stations, filter: 'label.site = south' };
  const narrowed = await rest.call('POST', '/v1/resets', { body: { target: both, order, dryRun: true } });
  t.strictSame(
    narrowed.body.results.map(({ stationId }: Json) => stationId),
    ['s-1'],
  );
  t.match((await rest.call('POST', '/v1/resets', { body: { target: { filter: 'label.site=west' }, order } })).body, {
    total: 0,
    results: [],
  });
});

void t.test('a dry run decides everything and stores nothing', async (t) => {
  const rest = await openDepot(t);
  const forms = {
    '/v1/firmware-updates': {
      order: { location: LOCATION, signature: 'c2ln' },
      refused: 'SIGNATURE_INCOMPLETE',
      pointers: ['#/order/signature'],
    },
    '/v1/log-uploads': {
      order: { location: 'gopher://files.example/' },
      refused: 'LOCATION_NOT_USABLE',
      pointers: ['#/order/location'],
    },
    '/v1/resets': { order: { type: 'Hard' }, refused: undefined, pointers: undefined },
  };
  for (const [path, { order, refused, pointers }] of Object.entries(forms)) {
    const before = await rest.redis.dbsize();
    const headers = { 'idempotency-key': 'dry' };
    const body = { target: { stations: ['n-1', 'nobody'] }, order, dryRun: true };
    const done = await rest.call('POST', path, { body, headers });
    t.match(done, { status: 200, body: { dryRun: true, total: 2 } }, path);
    const [first, second] = done.body.results;
    t.strictSame([first.status === 202, first.problem?.code], [refused === undefined, refused], path);
    t.strictSame(
      first.problem?.errors.map(({ pointer }: Json) => pointer),
      pointers,
      `${path}: where it stands in this body`,
    );
    t.notOk(first.operationId);
    t.equal(second.problem.code, 'STATION_UNKNOWN');
    t.equal(await rest.redis.dbsize(), before, `${path} stores nothing`);
  }
  t.strictSame(await rest.store.openIds(), []);
  t.notOk(rest.lines.some((line) => line.audit === true));
});

void t.test('a dry run is refused with what would have been taken', async (t) => {
  const rest = await openRest(t, {
    redis,
    stations: {
      'n-1': {
        driver: { transport: 'local', state_dir: '/var/lib/khumbu', profile: 'rauc', logs: { SecurityLog: [] } },
      },
    },
  });
  const order = { type: 'SecurityLog', location: 'https://files.example/in/' };
  const problemOf = async (dryRun: boolean): Promise<Json> => {
    const body = { target: { stations: ['n-1'] }, order, dryRun };
    return (await rest.call('POST', '/v1/log-uploads', { body })).body.results[0].problem;
  };
  const problem = await problemOf(true);
  t.match(problem, { code: 'LOG_TYPE_UNKNOWN', errors: [{ allowed: ['DiagnosticsLog'] }] });
  t.strictSame(problem, await problemOf(false));
  const alone = await rest.call('POST', '/v1/stations/n-1/log-uploads', { body: order });
  t.strictSame([problem.errors[0].pointer, alone.body.errors[0].pointer], ['#/order/type', '#/type']);
});

void t.test('the same request again does nothing twice, and decides what was not decided', async (t) => {
  const rest = await openDepot(t);
  const headers = { 'idempotency-key': 'weekly' };
  const body = { target: { stations: ['n-1', 's-1'] }, order: { location: 'https://files.example/in/' } };
  const send = () => rest.call('POST', '/v1/log-uploads', { body, headers });
  const first = await send();
  t.equal(first.body.accepted, 2);
  const again = await send();
  t.strictSame(again.body, first.body);
  t.equal(again.headers['idempotency-replayed'], 'true');
  t.equal((await rest.store.openIds()).length, 2);
  const other = await rest.call('POST', '/v1/log-uploads', { body: { ...body, title: 'x' }, headers });
  t.match(other, { status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
  // As if the gateway had ended before its answer was kept.
  for (const key of await rest.redis.keys(`${rest.prefix}:rest-answer:*`)) await rest.redis.hdel(key, 'answer');
  const joined = await send();
  t.strictSame(joined.body, first.body);
  t.equal((await rest.store.openIds()).length, 2);

  const alone = await rest.call('POST', '/v1/stations/n-2/log-uploads', {
    body: body.order,
    headers: { 'idempotency-key': 'alone' },
  });
  t.equal(alone.status, 202);
  const many = await rest.call('POST', '/v1/log-uploads', {
    body: { target: { stations: ['n-2'] }, order: body.order },
    headers: { 'idempotency-key': 'alone' },
  });
  t.match(many, { status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED' } });
});

void t.test('an error at one station is the result of that station alone', async (t) => {
  let isBroken = true;
  const rest = await openRest(t, {
    redis,
    stations: STATIONS,
    judgeCertificate: async (_request, _profile, { station }) => {
      if (isBroken && station === 'n-1') throw new TypeError('a mistake of our own');
      return { ok: true };
    },
  });
  const headers = { 'idempotency-key': 'broken' };
  const order = { location: LOCATION, signing_certificate: 'pem', signature: 'c2ln' };
  const body = { target: { stations: ['n-1', 'n-2', 's-1'] }, order };
  const send = () => rest.call('POST', '/v1/firmware-updates', { body, headers });
  const done = await send();
  t.match(done, { status: 200, body: { total: 3, accepted: 2, refused: 1 } });
  const [first, ...others] = done.body.results;
  t.match(first, { stationId: 'n-1', status: 500, problem: { status: 500, code: 'INTERNAL' } });
  t.notMatch(JSON.stringify(done.body), 'a mistake of our own');
  t.strictSame(
    others.map(({ status }: Json) => status),
    [202, 202],
  );
  const line = rest.lines.find(({ err }) => (err as Json)?.message === 'a mistake of our own');
  t.match(line, { level: 50, station: 'n-1', requestId: done.headers['x-request-id'] });
  // That is no last word.
  isBroken = false;
  const again = await send();
  t.match(again.body, { orderId: done.body.orderId, accepted: 3, refused: 0 });
  t.strictSame(again.body.results.slice(1), others);
});

void t.test('what was accepted is answered so, also when a newer version has taken it on since', async (t) => {
  const rest = await openDepot(t);
  const confirm = rest.intake.confirm.bind(rest.intake);
  Object.assign(rest.intake, {
    confirm: async (answer: Parameters<typeof confirm>[0]) => {
      await confirm(answer);
      const { station, id = '' } = answer.record ?? {};
      if (station === 'n-1') await rest.redis.hset(rest.store.keys.record(id), 'schema', 1000);
    },
  });
  const body = { target: { stations: ['n-1', 's-1'] }, order: { location: 'https://files.example/in/' } };
  const done = await rest.call('POST', '/v1/log-uploads', { body });
  t.match(done, { status: 200, body: { total: 2, accepted: 2, results: [{ stationId: 'n-1', status: 202 }] } });
  await t.rejects(rest.store.load(done.body.results[0].operationId), { code: 'RECORD_TOO_NEW' });
});

void t.test('the same request with a filter is answered for the stations it chose at first', async (t) => {
  const rest = await openDepot(t);
  const headers = { 'idempotency-key': 'north' };
  const body = { target: { filter: 'label.site = north and not station = driverless' }, order: { type: 'Soft' } };
  const send = () => rest.call('POST', '/v1/resets', { body, headers });
  const first = await send();
  t.strictSame([first.body.total, first.body.accepted], [2, 2]);
  const patch = (station: string, labels: object) =>
    rest.call('PATCH', `/v1/stations/${station}`, { body: { labels } });
  t.equal((await patch('s-1', { site: 'north' })).status, 200);
  t.equal((await patch('n-1', { site: 'west' })).status, 200);
  // What is known of stations is kept for a moment.
  const fitting = async (): Promise<string> => {
    const { results } = (await rest.call('POST', '/v1/resets', { body: { ...body, dryRun: true } })).body;
    return results.map(({ stationId }: Json) => stationId).join();
  };
  await awaitUntil(async () => (await fitting()) === 'n-2,s-1', 5000, 'other stations that fit');
  // As if the gateway had ended before its answer was kept.
  for (const key of await rest.redis.keys(`${rest.prefix}:rest-answer:*`)) await rest.redis.hdel(key, 'answer');
  t.strictSame((await send()).body, first.body);
  t.equal((await rest.store.openIds()).length, 2);
});

void t.test('orders for single stations come in between the stations of bulk orders', async (t) => {
  const names = Array.from({ length: 8 }, (_, at) => `many-${at}`);
  let judged = 0;
  const held: (() => void)[] = [];
  let isHolding = true;
  const release = (): void => {
    for (const go of held.splice(0)) go();
  };
  const rest = await openRest(t, {
    redis,
    stations: Object.fromEntries([...names, 'single'].map((name) => [name, {}])),
    judgeCertificate: async () => {
      judged += 1;
      if (isHolding) await new Promise<void>((resolve) => held.push(resolve));
      return { ok: false, response: 'InvalidCertificate', reason: 'expired' };
    },
  });
  const order = { location: LOCATION, signing_certificate: 'pem', signature: 'c2ln' };
  const many = Array.from({ length: 8 }, () =>
    rest.call('POST', '/v1/firmware-updates', { body: { target: { stations: names }, order } }),
  );
  await awaitUntil(
    () => judged === 32,
    5000,
    () => `half of each order, of which ${judged} are decided on`,
  );
  const single = rest.call('POST', '/v1/stations/single/reset', { body: { type: 'Soft' }, key: KEYS.other });
  await awaitUntil(() => rest.load.asks.waiting() === 1, 5000, 'the order for one station in line');
  release();
  t.equal((await within(single, 5000, 'the order for one station')).status, 202);
  isHolding = false;
  release();
  for (const { body } of await Promise.all(many)) t.match(body, { total: 8, accepted: 0, refused: 8 });
  t.equal(judged, 64);
});

void t.test('an update is allowed and named with its order', async (t) => {
  const rest = await openDepot(t);
  const order = { location: LOCATION, allowInstallation: true, title: 'To 2.1' };
  const one = await rest.call('POST', '/v1/stations/n-1/firmware-updates', { body: order });
  t.match(one, { status: 202, body: { title: 'To 2.1', permissionBy: 'rest' } });
  const record = (await rest.store.load(one.body.operationId)) as FirmwareUpdateRecord;
  t.match(record.permission, { by: 'rest', bootEpoch: 0 });
  const many = await rest.call('POST', '/v1/firmware-updates', {
    body: { target: { filter: 'label.site = south' }, title: 'South to 2.1', order: { location: LOCATION } },
  });
  const view = (await rest.call('GET', `/v1/operations/${many.body.results[0].operationId}`)).body;
  t.match(view, { title: 'South to 2.1', kind: 'firmware_update' });
  t.notOk(view.permissionBy);
  const reset = await rest.call('POST', '/v1/stations/n-2/reset', { body: { type: 'Soft', title: 'Stuck' } });
  t.match(reset.body, { title: 'Stuck' });
});

void t.test('a target that is none is refused as a whole', async (t) => {
  const rest = await openDepot(t);
  const post = (target: Json): Promise<Called> =>
    rest.call('POST', '/v1/resets', { body: { target, order: { type: 'Soft' } } });
  const wrong = await post({ filter: 'label.site == north' });
  t.match(wrong, {
    status: 422,
    body: { code: 'BODY_INVALID', errors: [{ pointer: '#/target/filter', position: 12 }] },
  });
  for (const target of [{}, { stations: [] }, { stations: ['a', 'a'] }, { filter: '' }, { all: true }, undefined])
    t.match(await post(target), { status: 422, body: { code: 'BODY_INVALID' } }, JSON.stringify(target));
  t.match(await rest.call('POST', '/v1/firmware-updates', { body: { target: { stations: ['n-1'] }, order: {} } }), {
    status: 422,
    body: { code: 'BODY_INVALID' },
  });
  t.strictSame(await rest.store.openIds(), []);
});
