import { randomUUID } from 'node:crypto';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { awaitUntil, collector } from '@khumbu/test-support/events';
import type { EverestClient } from '@khumbu/test-support/everest-client';
import { requestFrame } from '@khumbu/test-support/everest-frames';
import { connectAsync } from 'mqtt';
import t from 'tap';
import { LEASE_MS } from '../src/leader/lease.js';
import { API_KEY, type Depot, depot, leads, startGateway } from './gateway-process.js';
import { PERIODS, said, setMqttStage } from './mqtt-stage.js';

const { announce, broker, redis, servers, station, storeOf } = await setMqttStage(t);

/** Much longer than anything takes on a busy machine. */
const PATIENCE_MS = 60_000;
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Infinity;

const UPDATE = { request_id: 7, location: 'https://files.example/image.bin' };
const LOGS = { request_id: 8, location: 'https://files.example/logs/' };

const openRecords = async (place: Depot) => {
  const store = storeOf(place);
  return store.loadMany(await store.openIds());
};
void t.test('every request is answered, validly and soon', async (t) => {
  const place = await depot(t, servers, {
    stations: { 'cs-1': { driver: 'simulated', interfaces: { Wired0: 'eth0' } } },
  });
  await leads(await startGateway(t, place));
  const everest = await station(t, place, { heartbeatMs: 200, discovery: PERIODS });
  const rows: [string, unknown, unknown][] = [
    ['get_boot_reason', undefined, 'PowerUp'],
    ['set_system_time', new Date().toISOString(), true],
    ['set_system_time', '1970-01-01T00:00:00Z', false],
    ['is_reset_allowed', 'NotSpecified', true],
    ['update_firmware', UPDATE, 'Accepted'],
    ['update_firmware', { ...UPDATE, request_id: 9 }, 'AcceptedCanceled'],
    ['update_firmware', { ...UPDATE, location: 'http://localhost/x' }, 'Rejected'],
    ['upload_logs', LOGS, { upload_logs_status: 'Accepted', file_name: /\.tar\.gz$/ }],
    ['configure_network', { request_id: 1, interface: 'Wired0' }, { status: 'Processing' }],
    ['configure_network', { request_id: 2, interface: 'Wired1' }, { status: 'Rejected' }],
  ];
  const took: number[] = [];
  for (const [leaf, payload, expected] of rows) {
    const { reply, ms } = await everest.request(leaf, payload);
    t.match(reply, expected, leaf);
    took.push(ms);
  }
  t.ok(median(took) < 1000, `after ${took.map(Math.round).join()} ms`);
  const many = await Promise.all(Array.from({ length: 15 }, () => everest.request('get_boot_reason')));
  t.ok(many.every(({ reply }) => reply === 'PowerUp'));
  t.notOk(everest.messages.items.some(({ retain }) => retain));
});

void t.test('bad messages change nothing; who can be answered gets the default', async (t) => {
  const place = await depot(t, servers);
  const gateway = await startGateway(t, place);
  await leads(gateway);
  const everest = await station(t, place);
  const ask = async (leaf: string, payload: unknown) => (await everest.request(leaf, payload)).reply;
  t.equal(await ask('update_firmware', { request_id: 1 }), 'Rejected');
  t.equal(await ask('update_firmware', { ...UPDATE, request_id: 2 ** 31 }), 'Rejected');
  t.same(await ask('upload_logs', { location: '' }), { upload_logs_status: 'Rejected' });
  t.equal(await ask('is_reset_allowed', 'soft'), false);
  t.equal(await ask('set_system_time', 'now'), false);
  t.same(await ask('configure_network', { request_id: 1, interface: 'Tin can' }), { status: 'NotSupported' });

  const home = 'everest_api/1/system/cs-1/m2e/reply/';
  await everest.publishRaw('update_firmware', 'not JSON');
  await everest.publishRaw('update_firmware', Buffer.from([0xff, 0xfe]));
  await everest.publishRaw('reset', '{"type":"Gentle"}');
  await everest.publishRaw('reset', 'true');
  await everest.publishRaw('heartbeat', '-1');
  await everest.publishRaw('no_such_leaf', '{}');
  const elsewhere = collector<string>();
  const spy = await connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => spy.endAsync(true));
  spy.on('message', (topic) => elsewhere.push(topic));
  await spy.subscribeAsync([
    'stolen/#',
    `${place.topicPrefix}stolen/#`,
    `${place.topicPrefix}everest_api/1/system/cs-2/#`,
  ]);
  for (const to of [
    `${place.topicPrefix}stolen/1`,
    'stolen/1',
    `${home}a/b`,
    `${home}+`,
    `${home}../x`,
    'everest_api/1/system/cs-2/m2e/reply/1',
  ])
    await everest.publishRaw('update_firmware', requestFrame(to, UPDATE));
  t.equal((await everest.request('get_boot_reason')).reply, 'PowerUp', 'it serves on');
  await said(gateway, 'the reply topic is not the station’s own');
  await spy.publishAsync(`${place.topicPrefix}stolen/last`, '', { qos: 1 });
  await elsewhere.awaitItem((topic) => topic.endsWith('last'), PATIENCE_MS, 'the last one');
  t.same(elsewhere.items, [`${place.topicPrefix}stolen/last`], 'nobody else heard anything');
  t.same(await openRecords(place), []);
  t.match(await fetch(`${gateway.url}/metrics`).then((r) => r.text()), /khumbu_bad_messages_total [1-9]/);
});

void t.test('two stations behind prefixes are two, whatever their modules are called', async (t) => {
  const place = await depot(t, servers, { stations: { one: { driver: 'simulated' } } }, '{station}/');
  const gateway = await startGateway(t, place);
  await leads(gateway);
  const below = (name: string) => ({ ...place, topicPrefix: place.topicPrefix.replace('{station}', name) });
  const one = await station(t, below('one'), { moduleId: 'system', heartbeatMs: 200, discovery: PERIODS });
  const two = await station(t, below('two'), { moduleId: 'system', heartbeatMs: 200, discovery: PERIODS });
  const [first, second] = await Promise.all([
    one.request('update_firmware', UPDATE),
    two.request('update_firmware', UPDATE),
  ]);
  t.equal(first.reply, 'Accepted');
  t.equal(second.reply, 'Rejected', 'nobody configured it');
  t.same(
    (await openRecords(place)).map((record) => record.station),
    ['one'],
  );
  for (const everest of [one, two])
    await everest.messages.awaitItem(({ leaf }) => leaf === 'communication_check', PATIENCE_MS, 'a check');
  const { body } = await gateway.get('/v1/stations', API_KEY);
  t.match(body.items, [
    { stationId: 'one', configured: true, conflict: false },
    { stationId: 'two', configured: false, conflict: false },
  ]);
});

void t.test('communication checks: from the first heartbeat on, in time, true', async (t) => {
  const place = await depot(t, servers);
  await leads(await startGateway(t, place));
  const isCheck = ({ leaf }: { leaf: string }) => leaf === 'communication_check';
  const lives = Array.from({ length: 5 }, async (_, index) => {
    const everest = await station(t, place, { moduleId: `cs-${index + 1}`, discovery: PERIODS });
    const from = performance.now();
    everest.startHeartbeats(200);
    const all = await everest.messages.awaitAll(
      (items) => items.filter(isCheck).length >= 6,
      PATIENCE_MS,
      'six checks',
    );
    const checks = all.filter(isCheck);
    t.ok(checks.every(({ text }) => text === 'true'));
    const gaps = checks.slice(1).map(({ atMs }, at) => atMs - (checks[at]?.atMs ?? 0));
    return {
      everest,
      firstMs: (checks[0]?.atMs ?? Infinity) - from,
      untilToldMs: gaps[0] ?? Infinity,
      gaps: gaps.slice(1),
    };
  });
  const heard = await Promise.all(lives);
  const least = (of: (one: (typeof heard)[number]) => number): number => Math.min(...heard.map(of));
  t.ok(least(({ firstMs }) => firstMs) < 500, 'soon after the first heartbeat');
  t.ok(least(({ untilToldMs }) => untilToldMs) < 1000, 'nor silent until the module has told its period');
  const typical = median(heard.flatMap(({ gaps }) => gaps));
  t.ok(typical < 600, `twice at least in each second: every ${Math.round(typical)} ms`);
  const everest = (await lives[0])?.everest as EverestClient;
  redis.freeze();
  t.teardown(() => redis.thaw());
  await awaitUntil(
    () => performance.now() - (everest.messages.items.findLast(isCheck)?.atMs ?? 0) > 1000,
    PATIENCE_MS,
    'silence',
  );
  redis.thaw();
  const before = everest.messages.items.length;
  await everest.messages.awaitAll((items) => items.slice(before).some(isCheck), PATIENCE_MS, 'a check again');
  t.ok(
    everest.messages.items.filter(isCheck).every(({ text }) => text === 'true'),
    'never false',
  );
});

void t.test('discovery is asked at connect, at each beacon, and for who is unknown', async (t) => {
  const place = await depot(t, servers);
  const questions = collector<string>();
  const spy = await connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => spy.endAsync(true));
  spy.on('message', (_topic, payload) => questions.push(payload.toString()));
  await spy.subscribeAsync(`${place.topicPrefix}everest_api/query-modules/system`);
  const asked = (count: number) => questions.awaitAll((all) => all.length >= count, PATIENCE_MS, `question ${count}`);
  await leads(await startGateway(t, place));
  t.match(JSON.parse((await asked(1))[0] ?? ''), { headers: { replyTo: /^everest_api\/khumbu\/discovered\// } });
  await spy.publishAsync(`${place.topicPrefix}everest_api/ready_beacon`, '{}', { qos: 2 });
  await asked(2);
  const everest = await station(t, place);
  await everest.publishRaw('heartbeat', '5');
  await asked(3);
  t.equal(new Set(questions.items).size, questions.items.length, 'each with its own answer topic');
});

void t.test('statuses: in order, held while the station is away, told after its first heartbeat', async (t) => {
  const place = await depot(t, servers);
  await leads(await startGateway(t, place));
  const everest = await station(t, place, { heartbeatMs: 200, discovery: PERIODS });
  await everest.messages.awaitItem(({ leaf }) => leaf === 'communication_check', PATIENCE_MS, 'a check');
  const names = ['Downloading', 'Downloaded', 'Installing', 'Installed'];
  await announce(
    place,
    names.map((name) => [1, name]),
  );
  await everest.awaitStatus(1, 'Installed', PATIENCE_MS);
  t.same(everest.statusNames(1), names);

  everest.stopHeartbeats();
  const quietFrom = performance.now();
  await awaitUntil(() => performance.now() - quietFrom > 4 * 200 + 300, PATIENCE_MS, 'four periods');
  await announce(place, [[2, 'Downloading']]);
  await announce(place, [[2, 'Downloaded']]);
  const heldFrom = performance.now();
  await awaitUntil(() => performance.now() - heldFrom > 1500, PATIENCE_MS, 'longer than a sweep');
  t.same(everest.statusNames(2), [], 'nobody would hear them');
  everest.startHeartbeats(200);
  await everest.awaitStatus(2, 'Downloaded', PATIENCE_MS);
  t.same(everest.statusNames(2), ['Downloading', 'Downloaded']);
  const isEmpty = async () => (await storeOf(place).outboxEntries('cs-1')).length === 0;
  await awaitUntil(isEmpty, PATIENCE_MS, 'what was told leaves the outbox');
});

void t.test('a status told when the station had just left is told again when it is back', async (t) => {
  const place = await depot(t, servers);
  await leads(await startGateway(t, place));
  // A bridge to the station's own broker listens all the time, so the broker cannot tell that nobody does.
  const bridge = await connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => bridge.endAsync(true));
  await bridge.subscribeAsync(`${place.topicPrefix}everest_api/#`);
  const isTold = async () => (await storeOf(place).outboxEntries('cs-1')).length === 0;
  let id = 0;
  const leaveAndReturn = async (status: string, backWith: number, isRepeated: boolean): Promise<string[]> => {
    id += 1;
    const before = await station(t, place, { discovery: PERIODS });
    before.startHeartbeats(200);
    const isCheck = ({ leaf }: { leaf: string }): boolean => leaf === 'communication_check';
    await before.messages.awaitAll((all) => all.filter(isCheck).length > 1, PATIENCE_MS, 'checks in its own period');
    await before.close(true);
    await announce(place, [[id, status]]);
    await awaitUntil(isTold, PATIENCE_MS, 'the status to be told to nobody');
    const leftAt = performance.now();
    await awaitUntil(() => performance.now() - leftAt > 4 * 200, PATIENCE_MS, 'four periods');
    const after = await station(t, place, { discovery: PERIODS });
    await after.publishRaw('heartbeat', String(backWith));
    await after.messages.awaitItem(({ leaf }) => leaf === 'communication_check', PATIENCE_MS, 'a check');
    await announce(place, [[1000 + id, 'Downloading']]);
    await after.awaitStatus(1000 + id, 'Downloading', PATIENCE_MS);
    if (isRepeated) await after.awaitStatus(id, status, PATIENCE_MS);
    await after.publishRaw('heartbeat', String(backWith + 1));
    const told = after.statusNames(id);
    await after.close(true);
    return told;
  };
  t.same(
    await leaveAndReturn('Downloaded', 1000, true),
    ['Downloaded'],
    'it was away: nothing but the line has changed',
  );
  t.same(await leaveAndReturn('Downloaded', 0, false), [], 'EVerest has restarted: the trigger is seen to elsewhere');
  t.same(await leaveAndReturn('Installed', 0, true), ['Installed'], 'an end is never lost');
});

void t.test('an end that a late heartbeat of the boot before let go is told to the new boot too', async (t) => {
  const place = await depot(t, servers);
  await leads(await startGateway(t, place));
  const bridge = await connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => bridge.endAsync(true));
  await bridge.subscribeAsync(`${place.topicPrefix}everest_api/#`);
  const outbox = () => storeOf(place).outboxEntries('cs-1');
  /** More than the clocks of two processes may differ. */
  const passed = (ms: number): Promise<unknown> => {
    const from = performance.now();
    return awaitUntil(() => performance.now() - from > ms, ms + PATIENCE_MS, 'some time to pass');
  };
  let id = 0;
  const endAcrossBoot = async (begin: (everest: EverestClient) => Promise<unknown> | undefined): Promise<string[]> => {
    id += 1;
    const before = await station(t, place, { discovery: PERIODS });
    await before.request('get_boot_reason');
    for (const beat of [100, 101, 102]) await before.publishRaw('heartbeat', String(beat));
    await before.messages.awaitItem(({ leaf }) => leaf === 'communication_check', PATIENCE_MS, 'a check');
    await before.close(true);
    await passed(200);
    const at = momentOf(Date.now()).monotonic;
    const restartExpected = JSON.stringify({ reason: 'FirmwareUpdate', at, operationId: `o-${id}` });
    await storeOf(place).commit(storeOf(place).transaction().setStation('cs-1', { restartExpected }));
    await announce(place, [[id, 'Installed']], { at, settleMs: 0 });
    await passed(3200);
    t.equal((await outbox()).length, 1, 'it waits for the boot');
    await bridge.publishAsync(`${place.topicPrefix}everest_api/1/system/cs-1/e2m/heartbeat`, '103', { qos: 2 });
    await awaitUntil(
      async () => (await outbox()).length === 0,
      PATIENCE_MS,
      'it is told on the word of the boot before',
    );
    const after = await station(t, place, { discovery: PERIODS });
    await begin(after);
    // It goes on to beat: one that falls silent is away before a busy gateway has come to telling it.
    after.startHeartbeats(200);
    await after.awaitStatus(id, 'Installed', PATIENCE_MS);
    await announce(place, [[1000 + id, 'Downloading']]);
    await after.awaitStatus(1000 + id, 'Downloading', PATIENCE_MS);
    await after.close(true);
    return after.statusNames(id);
  };
  t.same(await endAcrossBoot((everest) => everest.request('get_boot_reason')), ['Installed'], 'begun by a question');
  t.same(await endAcrossBoot(() => undefined), ['Installed'], 'begun by a heartbeat');
});

void t.test('a status that nobody listens for is held, though heartbeats are not missed yet', async (t) => {
  const place = await depot(t, servers);
  await leads(await startGateway(t, place));
  const slow = { ...PERIODS, heartbeat_period_ms: 60_000 };
  const everest = await station(t, place, { heartbeatMs: 60_000, discovery: slow });
  await everest.messages.awaitItem(({ leaf }) => leaf === 'communication_check', PATIENCE_MS, 'a check');
  await announce(place, [[1, 'Downloading']]);
  await everest.awaitStatus(1, 'Downloading', PATIENCE_MS);
  const outbox = () => storeOf(place).outboxEntries('cs-1');
  await awaitUntil(async () => (await outbox()).length === 0, PATIENCE_MS, 'what was told leaves the outbox');

  await everest.close(true);
  await announce(place, [[1, 'Downloaded']]);
  const heldFrom = performance.now();
  await awaitUntil(() => performance.now() - heldFrom > 1500, PATIENCE_MS, 'several tries');
  t.equal((await outbox()).length, 1, 'it is not told to nobody');
  const again = await station(t, place, { heartbeatMs: 60_000, discovery: slow });
  await again.awaitStatus(1, 'Downloaded', PATIENCE_MS);
  await awaitUntil(async () => (await outbox()).length === 0, PATIENCE_MS, 'what was told leaves the outbox');
  t.same(again.statusNames(1), ['Downloaded']);
});

void t.test('nothing follows from an answer that nobody waits for', async (t) => {
  const place = await depot(t, servers);
  const gateway = await startGateway(t, place);
  await leads(gateway);
  const gone = await station(t, place);
  t.equal((await gone.request('get_boot_reason')).reply, 'PowerUp');
  await gone.close(true);
  const publisher = await connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => publisher.endAsync(true));
  const home = `everest_api/1/system/cs-1`;
  const ask = async (uuid: string): Promise<void> => {
    const frame = requestFrame(`${home}/m2e/reply/${uuid}`, UPDATE);
    await publisher.publishAsync(`${place.topicPrefix}${home}/e2m/update_firmware`, frame, { qos: 2 });
  };
  await ask('unheard');
  await said(gateway, 'nobody waits for the answer');
  await awaitUntil(async () => (await openRecords(place)).length === 0, PATIENCE_MS, 'the offer to be withdrawn');
  const [withdrawn] = await storeOf(place).operationsOf('cs-1');
  t.equal(withdrawn?.state, 'Withdrawn');
  const back = await station(t, place);
  t.equal((await back.request('update_firmware', UPDATE)).reply, 'Accepted', 'it is free for another');
});

void t.test('a leader is killed: the standby goes on within four seconds', async (t) => {
  const took: number[] = [];
  // How long it takes on a machine that is busy with others is not the gateway's doing: one try of a few counts.
  while (took.length < 4 && !(Math.min(...took) < 4000)) {
    const place = await depot(t, servers);
    const first = await startGateway(t, place);
    await leads(first);
    const second = await startGateway(t, place);
    t.match((await second.ready()).body, { leader: false });
    await awaitUntil(
      async () => (await second.ready()).status === 200,
      PATIENCE_MS,
      'a standby is ready: the depot is served',
    );
    const everest = await station(t, place, { heartbeatMs: 200, discovery: PERIODS });
    t.equal((await everest.request('update_firmware', UPDATE)).reply, 'Accepted');
    await first.child.end('SIGKILL');
    await announce(place, [[3, 'Downloading']]);
    const request = { ...UPDATE, request_id: 8 };
    const { reply, ms } = await everest.request('update_firmware', request, { timeoutMs: PATIENCE_MS });
    t.equal(reply, 'AcceptedCanceled');
    await everest.awaitStatus(3, 'Downloading', PATIENCE_MS);
    t.match((await second.ready()).body, { leader: true });
    took.push(ms);
    for (const gateway of [first, second]) await gateway.child.end('SIGKILL');
  }
  t.ok(Math.min(...took) < 4000, `answered after ${took.map(Math.round).join()} ms`);
});

void t.test('what was asked while nobody was connected', async (t) => {
  const place = await depot(t, servers);
  const first = await startGateway(t, place);
  await leads(first);
  const everest = await station(t, place);
  t.equal((await everest.request('get_boot_reason')).reply, 'PowerUp');
  await first.child.end('SIGKILL');
  const answer = everest.request('update_firmware', UPDATE, { timeoutMs: PATIENCE_MS });
  await everest.publishRaw('reset', '{"scheduled":false,"type":"Soft"}');
  const second = await startGateway(t, place);
  t.equal((await answer).reply, 'Accepted', 'is answered by the next one');
  await said(second, 'an old reset nobody waits for');
  t.same(
    (await openRecords(place)).map(({ kind }) => kind),
    ['firmware_update'],
  );
  await leads(second);
  await everest.publishRaw('reset', '{"scheduled":false,"type":"Soft"}');
  await awaitUntil(
    async () => (await openRecords(place)).some(({ kind }) => kind === 'reset'),
    PATIENCE_MS,
    'a fresh reset',
  );
});

void t.test('a station nobody configured is listed, and answered fail-closed', async (t) => {
  const place = await depot(t, servers, { stations: { 'cs-9': { driver: 'simulated' } } });
  const gateway = await startGateway(t, place);
  await leads(gateway);
  const everest = await station(t, place, { heartbeatMs: 200 });
  t.equal((await everest.request('update_firmware', UPDATE)).reply, 'Rejected');
  t.equal((await everest.request('get_boot_reason')).reply, 'Unknown');
  t.equal((await everest.request('is_reset_allowed', 'Soft')).reply, false);
  await everest.publishRaw('reset', '{"scheduled":false,"type":"Soft"}');
  await said(gateway, 'reset asked for');
  t.same(await openRecords(place), []);
  const { status, body } = await gateway.get('/v1/stations', API_KEY);
  t.equal(status, 200);
  t.match(body.items, [
    { stationId: 'cs-1', configured: false },
    { stationId: 'cs-9', configured: true },
  ]);
  t.match(await gateway.get('/v1/stations/cs-1', API_KEY), {
    status: 200,
    body: { stationId: 'cs-1', moduleId: 'cs-1' },
  });
  const problem = (status: number) => ({
    status,
    type: /^application\/problem\+json/,
    body: { status, code: /./, title: /./ },
  });
  t.match(await gateway.get('/v1/stations'), problem(401));
  t.match(await gateway.get('/v1/stations', 'wrong'), problem(401));
  t.match(await gateway.get('/v1/stations/nobody', API_KEY), problem(404));
  t.match(await gateway.get('/nowhere', API_KEY), problem(404));
  t.match(await gateway.ready(), { status: 200, body: { redis: 'ok', leader: true } });
});

void t.test('Redis stops answering', async (t) => {
  const place = await depot(t, servers);
  const gateway = await startGateway(t, place);
  await leads(gateway);
  const everest = await station(t, place, { heartbeatMs: 200, discovery: PERIODS });
  t.equal((await everest.request('get_boot_reason')).reply, 'PowerUp');
  t.equal((await everest.request('is_reset_allowed', 'Soft')).reply, true);
  redis.freeze();
  t.teardown(() => redis.thaw());
  const took: number[] = [];
  for (const id of [7, 10, 11]) {
    const { reply, ms } = await everest.request('update_firmware', { ...UPDATE, request_id: id });
    t.equal(reply, 'Rejected');
    took.push(ms);
  }
  t.ok(Math.min(...took) < 1500, `the default after ${took.map(Math.round).join()} ms`);
  await awaitUntil(async () => (await gateway.ready()).status === 503, PATIENCE_MS, 'not ready');
  const from = performance.now();
  await awaitUntil(() => performance.now() - from > LEASE_MS, PATIENCE_MS, 'the end of the lease');
  const uuid = randomUUID();
  const frame = requestFrame(`everest_api/1/system/cs-1/m2e/reply/${uuid}`, { ...UPDATE, request_id: 8 });
  const replies = (): string[] =>
    everest.messages.items.filter(({ leaf }) => leaf === `reply/${uuid}`).map(({ text }) => text);
  await everest.publishRaw('update_firmware', frame);
  await awaitUntil(() => replies().length === 1, PATIENCE_MS, 'the default, although nobody can lead');
  await everest.publishRaw('reset', '{"scheduled":false,"type":"Soft"}');
  redis.thaw();
  await leads(gateway);
  t.equal((await everest.request('is_reset_allowed', 'Soft')).reply, true, 'it serves again');
  const isReset = async () => (await openRecords(place)).some(({ kind }) => kind === 'reset');
  await awaitUntil(isReset, PATIENCE_MS, 'the reset that was announced is kept');
  await everest.publishRaw('update_firmware', frame);
  await awaitUntil(() => replies().length === 2, PATIENCE_MS, 'the answer to the same frame');
  t.same(replies(), ['"Rejected"', '"Rejected"']);
  const states = (await openRecords(place)).filter(({ requestId }) => [7, 8, 10, 11].includes(requestId));
  t.same(states, [], 'what was answered by default is not executed');
});

void t.test('nothing that is stored beside a decision delays its answer', async (t) => {
  const place = await depot(t, servers);
  await leads(await startGateway(t, place));
  const pairs = await Promise.all(
    [1, 2, 3].map(async (pair) => {
      const everest = await station(t, place, { moduleId: `cs-${pair}` });
      await everest.request('get_boot_reason');
      return { everest, stranger: await station(t, place, { moduleId: `stranger-${pair}` }) };
    }),
  );
  redis.freeze();
  t.teardown(() => redis.thaw());
  const took: number[] = [];
  for (const { everest, stranger } of pairs) {
    const [shown, unheard] = await Promise.all([
      everest.request('update_firmware', { ...UPDATE, request_id: -1 }),
      stranger.request('get_boot_reason'),
    ]);
    t.equal(shown.reply, 'Rejected', 'a request that shows the OCPP version');
    t.equal(unheard.reply, 'Unknown', 'the first message of a station');
    took.push(Math.max(shown.ms, unheard.ms));
  }
  t.ok(Math.min(...took) < 1600, `after ${took.map(Math.round).join()} ms`);
});
