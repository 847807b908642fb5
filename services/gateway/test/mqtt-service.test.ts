/** Requests, bad messages, checks and discovery over a real broker. */

import { setTimeout as pause } from 'node:timers/promises';
import type { ChannelName } from '@khumbu/shared/contract/channels';
import { requestFrame } from '@khumbu/shared/contract/everest-frames';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil, collector } from '@khumbu/test-support/events';
import { connectAsync } from 'mqtt';
import t from 'tap';
import { API_KEY, depot, type Gateway, leads, onceReady, startGateway } from './gateway-process.js';
import { LONG_PERIODS, PERIODS, said, setMqttStage } from './mqtt-stage.js';

const { broker, openRecords, redis, servers, station, storeOf } = await setMqttStage(t);

/** Much longer than anything takes on a busy machine. */
const PATIENCE_MS = 60_000;
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Infinity;

const UPDATE = { request_id: 7, location: 'https://files.example/image.bin' };
const LOGS = { request_id: 8, location: 'https://files.example/logs/' };

/** The list of stations, once it has so many: one whose storing took long is in it a little later. */
const listed = (gateway: Gateway, count: number) =>
  awaitUntil(
    async () => {
      const list = await gateway.get('/v1/stations', API_KEY);
      return list.status === 200 && (list.body.items as unknown[]).length === count && list;
    },
    PATIENCE_MS,
    `${count} stations to be listed`,
  );

void t.test('every request is answered, validly and soon', async (t) => {
  // How long it takes on a machine that is busy with others is not the gateway's doing: one station of a few counts.
  const names = ['cs-1', 'cs-2', 'cs-3'];
  const profile = { driver: 'simulated', interfaces: { Wired0: 'eth0' } };
  const place = await depot(t, servers, { stations: Object.fromEntries(names.map((name) => [name, profile])) });
  await leads(await startGateway(t, place));
  const rows: [ChannelName, unknown, unknown][] = [
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
  const askAll = async (moduleId: string): Promise<number[]> => {
    const everest = await station(t, place, { moduleId, heartbeatMs: 200, discovery: LONG_PERIODS });
    const took: number[] = [];
    for (const [leaf, payload, expected] of rows) {
      const { reply, ms } = await askUntilDecided(leaf, () => everest.request(leaf, payload));
      t.match(reply, expected, leaf);
      took.push(ms);
    }
    const boot = () => askUntilDecided('get_boot_reason', () => everest.request('get_boot_reason'));
    const many = await Promise.all(Array.from({ length: 15 }, boot));
    t.ok(many.every(({ reply }) => reply === 'PowerUp'));
    t.notOk(everest.messages.items.some(({ retain }) => retain));
    return took;
  };
  const rounds: number[][] = [];
  const best = (): number => Math.min(...rounds.map(median));
  for (const name of names) if (!(best() < 1000)) rounds.push(await askAll(name));
  t.ok(best() < 1000, `after ${rounds.map((took) => took.map(Math.round).join()).join(' or ')} ms`);
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
  t.equal(
    (await askUntilDecided('get_boot_reason', () => everest.request('get_boot_reason'))).reply,
    'PowerUp',
    'it serves on',
  );
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
    askUntilDecided('update_firmware', () => one.request('update_firmware', UPDATE)),
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
  const { body } = await listed(gateway, 2);
  t.match(body.items, [
    { stationId: 'one', configured: true, conflict: false },
    { stationId: 'two', configured: false, conflict: false },
  ]);
});

void t.test('communication checks: from the first heartbeat on, in time, true', async (t) => {
  const place = await depot(t, servers);
  await leads(await startGateway(t, place));
  const isCheck = ({ leaf }: { leaf: string }) => leaf === 'communication_check';
  const life = async (moduleId: string) => {
    const everest = await station(t, place, { moduleId, discovery: PERIODS });
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
  };
  const liveAll = async (round: number) => {
    const heard = await Promise.all(Array.from({ length: 5 }, (_, index) => life(`cs-${round}-${index + 1}`)));
    const [{ everest }] = heard as [(typeof heard)[number]];
    const firstMs = Math.min(...heard.map((one) => one.firstMs));
    const untilToldMs = Math.min(...heard.map((one) => one.untilToldMs));
    return { everest, firstMs, untilToldMs, typicalMs: median(heard.flatMap(({ gaps }) => gaps)) };
  };
  const isInTime = ({ firstMs, untilToldMs, typicalMs }: Awaited<ReturnType<typeof liveAll>>): boolean =>
    firstMs < 500 && untilToldMs < 1000 && typicalMs < 600;
  // A machine that stands still is late for all that live at once: one round of a few counts.
  let round = await liveAll(1);
  for (let number = 2; number <= 3 && !isInTime(round); number += 1) round = await liveAll(number);
  const { everest, firstMs, untilToldMs, typicalMs } = round;
  t.ok(firstMs < 500, 'soon after the first heartbeat');
  t.ok(untilToldMs < 1000, 'nor silent until the module has told its period');
  t.ok(typicalMs < 600, `twice at least in each second: every ${Math.round(typicalMs)} ms`);
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

void t.test('nothing follows from an answer that nobody waits for', async (t) => {
  const place = await depot(t, servers);
  await leads(await startGateway(t, place));
  const gone = await station(t, place);
  t.equal((await askUntilDecided('get_boot_reason', () => gone.request('get_boot_reason'))).reply, 'PowerUp');
  await gone.close(true);
  const publisher = await connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => publisher.endAsync(true));
  const home = `everest_api/1/system/cs-1`;
  const ask = async (uuid: string): Promise<void> => {
    const frame = requestFrame(`${home}/m2e/reply/${uuid}`, UPDATE);
    await publisher.publishAsync(`${place.topicPrefix}${home}/e2m/update_firmware`, frame, { qos: 2 });
  };
  let asked = 0;
  const isWithdrawn = async (): Promise<boolean> => {
    // A machine that is too busy may answer by default, which nothing follows from either.
    await ask(`unheard-${asked++}`);
    await pause(1000);
    return (await storeOf(place).operationsOf('cs-1')).some(({ state }) => state === 'Withdrawn');
  };
  await awaitUntil(isWithdrawn, PATIENCE_MS, 'the offer to be withdrawn');
  await awaitUntil(async () => (await openRecords(place)).length === 0, PATIENCE_MS, 'every offer to be withdrawn');
  const back = await station(t, place);
  t.equal(
    (await askUntilDecided('update_firmware', () => back.request('update_firmware', UPDATE))).reply,
    'Accepted',
    'it is free for another',
  );
});

void t.test('a station nobody configured is listed, and answered fail-closed', async (t) => {
  const place = await depot(t, servers, { stations: { 'cs-9': { driver: 'simulated' } } });
  const gateway = await startGateway(t, place);
  await leads(gateway);
  const everest = await station(t, place, { heartbeatMs: 200 });
  t.equal((await everest.request('update_firmware', UPDATE)).reply, 'Rejected');
  t.equal((await askUntilDecided('get_boot_reason', () => everest.request('get_boot_reason'))).reply, 'Unknown');
  t.equal((await everest.request('is_reset_allowed', 'Soft')).reply, false);
  await everest.publishRaw('reset', '{"scheduled":false,"type":"Soft"}');
  await said(gateway, 'reset asked for');
  t.same(await openRecords(place), []);
  const { body } = await listed(gateway, 2);
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
  t.match(await onceReady(gateway), { status: 200, body: { redis: 'ok', leader: true } });
});
