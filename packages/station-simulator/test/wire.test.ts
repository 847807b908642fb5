import { join } from 'node:path';
import type { ChargerView } from '@khumbu/station-drivers/simulated/charger-view';
import { createSimulatedDriver } from '@khumbu/station-drivers/simulated/simulated-driver';
import { startMosquitto } from '@khumbu/test-support/mosquitto';
import t from 'tap';
import { chargersIn } from '../src/charger-watch.js';
import { createFleet } from '../src/fleet.js';
import { BOOTED, DEADLINE_MS, openWire } from './wire-stage.js';

const UUID = '[0-9a-f]{8}-[0-9a-f-]{27}';

// One folder for the whole file: a watch may still look at its charger when its test has ended.
const dir = t.testdir();
const { station, foreigner } = await openWire(t, dir);

void t.test('a boot: the reason is asked for, then the beacon, then heartbeats from 0', async (t) => {
  const { module, root, home } = station(t);
  const peer = await foreigner(t, root, BOOTED);
  await module.start();
  await peer.message('/heartbeat', 2);
  const order = peer.heard.filter(({ topic }) => !topic.includes('/reply/'));
  t.match(order[0]?.topic, `${home}e2m/get_boot_reason`);
  t.match(
    order[0]?.text,
    new RegExp(`^{"headers":{"replyTo":"everest_api/1/system/${module.moduleId}/m2e/reply/${UUID}"}}$`),
  );
  t.same(order[1], { topic: `${root}everest_api/ready_beacon`, text: '{}', qos: 2, retain: false });
  const beats = order.slice(2).map(({ text }) => text);
  t.same(
    beats,
    beats.map((_text, index) => String(index)),
  );
  t.equal(order[2]?.topic, `${home}e2m/heartbeat`);
  t.ok(
    order.every(({ qos, retain }) => qos === 2 && !retain),
    'QoS 2, never retained',
  );
  await module.awaitThat((s) => s.boots[0]?.bootReason === 'PowerUp', DEADLINE_MS);
});

void t.test('the bytes of every request, and replies as they come', async (t) => {
  const cases = [
    [
      'update_firmware',
      { request_id: 7, location: 'http://x/ä.bin', install_timestamp: '2026-01-01T00:00:00.000Z' },
      '{"install_timestamp":"2026-01-01T00:00:00.000Z","location":"http://x/ä.bin","request_id":7}',
      '"Accepted"',
      'Accepted',
    ],
    [
      'upload_logs',
      { type: 'DiagnosticsLog', location: 's3://b', request_id: 7, retries: undefined },
      '{"location":"s3://b","request_id":7,"type":"DiagnosticsLog"}',
      '{ "upload_logs_status": "Rejected", "more": 1 }',
      { upload_logs_status: 'Rejected', more: 1 },
    ],
    ['is_reset_allowed', 'Soft', '"Soft"', 'true', true],
    ['set_system_time', '2026-01-01T00:00:00Z', '"2026-01-01T00:00:00Z"', 'false', false],
    [
      'configure_network',
      { request_id: 1, interface: 'Wired0', apn: { sim_pin: '1', apn: 'a' } },
      '{"apn":{"apn":"a","sim_pin":"1"},"interface":"Wired0","request_id":1}',
      '{"status":"NotSupported"}',
      { status: 'NotSupported' },
    ],
  ] as const;
  const { module, root, home } = station(t);
  const peer = await foreigner(t, root, {
    ...BOOTED,
    ...Object.fromEntries(cases.map(([name, , , reply]) => [name, reply])),
  });
  await module.start();
  for (const [name, payload, bytes, , expected] of cases) {
    const { reply, timedOut } = await module.request(name, payload);
    t.same(reply, expected, name);
    t.notOk(timedOut);
    const { text, topic } = await peer.message(`/e2m/${name}`);
    t.equal(topic, `${home}e2m/${name}`);
    const replyTo = JSON.parse(text).headers.replyTo;
    t.equal(text, `{"headers":{"replyTo":"${replyTo}"},"payload":${bytes}}`);
    t.ok(replyTo.startsWith('everest_api/1/system/'), 'without the prefix');
  }
  await module.request('configure_network', {});
  t.match(
    (await peer.message('/e2m/configure_network', 1)).text,
    /^{"headers":{"replyTo":"[^"]*"}}$/,
    'empty: left out',
  );
  await module.request('is_reset_allowed', '');
  t.match((await peer.message('/e2m/is_reset_allowed', 1)).text, /,"payload":""}$/, 'an empty string is kept');
  module.allow();
  t.equal((await peer.message('/allow_firmware_installation')).text, 'true');
  t.same(module.violations, []);
});

const NONSENSE = {
  ...BOOTED,
  update_firmware: '"accepted"',
  set_system_time: '1',
  upload_logs: '{"upload_logs_status":"Accepted","file_name":null}',
  configure_network: '{"headers":{},"payload":{"status":"Ready"}}',
};
const REQUESTS = [
  ['update_firmware', { request_id: 1, location: 'http://x' }],
  ['upload_logs', { location: 'x' }],
  ['is_reset_allowed', 'Hard'],
  ['is_reset_allowed', 'Soft'],
  ['set_system_time', '2026-01-01T00:00:00Z'],
  ['configure_network', { request_id: 1, interface: 'Any' }],
] as const;

void t.test('nonsense is a violation, each by its own', async (t) => {
  const { module, root } = station(t, { requestReplyTimeoutS: 600 });
  await foreigner(t, root, NONSENSE);
  await module.start();
  for (const [name, payload] of REQUESTS) module.request(name, payload).catch(() => undefined);
  for (const name of ['update_firmware', 'set_system_time', 'upload_logs', 'configure_network']) {
    const isTold = (v: string): boolean => v.startsWith(`reply to ${name}`);
    await module.awaitThat((s) => s.violations.some(isTold), DEADLINE_MS, name);
  }
  t.ok(module.violations.includes('reply to configure_network: has an envelope'));
  t.equal(module.violations.length, 4);
});

void t.test('silence and nonsense: the fallback after the timeout, one name after the other', async (t) => {
  const { module, root } = station(t, { requestReplyTimeoutS: 0.15 });
  const peer = await foreigner(t, root, NONSENSE);
  await module.start();
  const outcomes = await Promise.all(REQUESTS.map(([name, payload]) => module.request(name, payload)));
  t.same(
    outcomes.map(({ reply }) => reply),
    ['Rejected', { upload_logs_status: 'Rejected' }, false, false, false, { status: 'NotSupported' }],
  );
  t.ok(outcomes.every(({ timedOut, ms }) => timedOut && ms >= 140));
  await peer.message('/e2m/is_reset_allowed', 1);
  const names = peer.heard.flatMap(({ topic }) =>
    /\/e2m\/(is_|configure)/.test(topic) ? [topic.split('/').at(-1)] : [],
  );
  t.same(names, ['is_reset_allowed', 'configure_network', 'is_reset_allowed'], 'the second of a name waits');

  const { module: alone } = station(t, { requestReplyTimeoutS: 0.05 });
  await alone.start();
  await alone.awaitThat((s) => s.boots[0]?.bootReason === 'Unknown', DEADLINE_MS, 'the fallback boot reason');
});

void t.test('a valid reply after an invalid one still counts', async (t) => {
  const { module, root } = station(t);
  const peer = await foreigner(t, root, BOOTED);
  await module.start();
  const outcome = module.request('is_reset_allowed', 'Soft');
  const { replyTo } = JSON.parse((await peer.message('/is_reset_allowed')).text).headers;
  await peer.say(`${root}${replyTo}`, '"true"');
  await peer.say(`${root}${replyTo}`, 'true');
  await peer.say(`${root}${replyTo}`, 'false');
  t.match(await outcome, { reply: true, timedOut: false });
});

void t.test('statuses are recorded in order; what EVerest cannot take is a violation', async (t) => {
  const { module, root, home } = station(t);
  const peer = await foreigner(t, root, { ...BOOTED, update_firmware: '"Accepted"' });
  await module.start();
  await module.request('update_firmware', { request_id: 7, location: 'x', signing_certificate: 'c', signature: 's' });
  const status = (name: string, more = '') => `{"firmware_update_status":"${name}","request_id":7${more}}`;
  await peer.say(`${home}m2e/firmware_update_status`, status('Downloading'));
  await peer.say(`${home}m2e/firmware_update_status`, status('Downloaded'));
  await peer.say(
    `${home}m2e/firmware_update_status`,
    status('SignatureVerified', ',"firmware_update_metadata":{"disable_connectors_during_install":true}'),
  );
  t.equal((await peer.message('/allow_firmware_installation')).text, 'true');
  await peer.say(`${home}m2e/configure_network_status`, '{"request_id":4,"status":"Ready","interface_address":"eth0"}');
  t.match(await module.awaitStatus((s) => s.kind === 'network', DEADLINE_MS), {
    requestId: 4,
    status: 'Ready',
    interfaceAddress: 'eth0',
  });
  t.same(
    module.statuses.map((s) => s.status),
    ['Downloading', 'Downloaded', 'SignatureVerified', 'Ready'],
  );
  t.same(module.statuses[2]?.metadata, { disable_connectors_during_install: true });
  t.same(module.violations, []);
  await t.rejects(
    module.awaitStatus((s) => s.status === 'Installed', 20),
    { code: 'DEADLINE_PASSED', message: /firmware 7 Downloaded/ },
  );

  const BROKEN: [string, string, RegExp][] = [
    ['firmware_update_status', 'no json', /not JSON/],
    ['firmware_update_status', '{"firmware_update_status":"installing","request_id":7}', /firmware_update_status/],
    ['firmware_update_status', '{"firmware_update_status":"Installing"}', /request_id/],
    ['firmware_update_status', '{"firmware_update_status":"Installing","request_id":2147483648}', /request_id/],
    ['log_status', '{"log_status":null,"request_id":7}', /log_status/],
    ['communication_check', '{"headers":{},"payload":true}', /has an envelope/],
    ['communication_check', 'false', /false ends the supervision/],
    ['log_status', '{"log_status":"Uploading","request_id":99}', /never accepted/],
  ];
  for (const [leaf, text, reason] of BROKEN) {
    const before = module.violations.length;
    await peer.say(`${home}m2e/${leaf}`, text);
    await module.awaitThat((s) => s.violations.length > before, DEADLINE_MS, text);
    t.match(module.violations.slice(before).join(), reason, `${leaf} ${text}`);
  }
  const before = module.violations.length;
  await peer.say(`${home}m2e/communication_check`, 'true', true);
  await module.awaitThat((s) => s.violations.length > before, DEADLINE_MS, 'retained');
  t.match(module.violations.at(-1), /communication_check: published as retained/);
  await peer.say(`${home}m2e/communication_check`, '', true);
});

void t.test('OCPP 1.6 dies of a log status it does not know, and EVerest with it', async (t) => {
  const { module, root, home } = station(t, {
    dialect: 'ocpp1.6',
  });
  const peer = await foreigner(t, root, {
    ...BOOTED,
    upload_logs: '{"upload_logs_status":"Accepted","file_name":"f"}',
  });
  await module.start();
  await module.request('upload_logs', { location: 'x', request_id: 3 });
  await peer.say(`${home}m2e/log_status`, '{"log_status":"AcceptedCanceled","request_id":3}');
  await module.awaitThat((s) => !s.up, DEADLINE_MS, 'the abort');
  t.same(module.violations, ['log 3: AcceptedCanceled aborts the OCPP 1.6 module']);
});

void t.test('restarts: by hand, after a reset, after InstallRebooting', async (t) => {
  const { module, root, home } = station(t, { restartMs: 10, rebootMs: 10, goDownMs: 0, heartbeatMs: 600_000 });
  const peer = await foreigner(t, root, BOOTED);
  await module.start();
  await module.restart();
  await peer.message('/heartbeat', 1);
  t.ok(module.peer.beginTransaction());
  module.reset('Hard', true);
  t.ok(module.peer.stopped, 'OCPP has stopped itself');
  t.equal((await peer.message('/e2m/reset')).text, '{"scheduled":true,"type":"Hard"}');
  await peer.message('/heartbeat', 2);
  await module.awaitThat((s) => s.boots.length === 3 && s.up, DEADLINE_MS, 'the reboot');
  t.equal(module.peer.transactions, 0);
  await peer.say(`${home}m2e/firmware_update_status`, '{"firmware_update_status":"InstallRebooting","request_id":-1}');
  await peer.message('/heartbeat', 3);
  t.same(
    peer.on('/heartbeat').map(({ text }) => text),
    ['0', '0', '0', '0'],
  );
  t.equal(peer.on('/get_boot_reason').length, 4);
  t.equal(peer.on('ready_beacon').length, 4);
});

void t.test('with a charger to watch, that one alone decides', async (t) => {
  let tell: (charger: ChargerView) => void = () => {};
  const { module, root } = station(t, {
    restartMs: 1,
    goDownMs: 0,
    rebootMs: 1,
    watch: (cb) => {
      tell = cb;
    },
  });
  const peer = await foreigner(t, root, BOOTED);
  const state = { bootId: 'a', everestStarts: 1, rebooting: false, restarting: false };
  tell(state);
  await module.start();
  module.reset('Soft');
  await peer.message('/e2m/reset');
  await peer.message('/heartbeat', peer.on('/heartbeat').length + 1);
  t.ok(module.up, 'still there');
  tell({ ...state, everestStarts: 2 });
  await module.awaitThat((s) => s.boots.length === 2 && s.up, DEADLINE_MS, 'the restart');
  tell({ ...state, everestStarts: 2, rebooting: true });
  await module.awaitThat((s) => !s.up, DEADLINE_MS, 'going down');
  await module.start();
  t.notOk(module.up, 'a start waits for the charger');
  tell({ ...state, bootId: 'b', everestStarts: 3 });
  await module.awaitThat((s) => s.boots.length === 3 && s.up, DEADLINE_MS, 'coming up');
});

void t.test('a reboot of a simulated charger takes its EVerest down and brings it up', async (t) => {
  const dataDir = join(dir, 'chargers');
  const life = new AbortController();
  t.teardown(() => life.abort());
  const watch = chargersIn(dataDir, life.signal, (error) => t.fail('cannot be watched', { error }))('rebooting');
  const { module } = station(t, { station: 'rebooting', watch, restartMs: 1 });
  await module.start();
  // A boot that is over before the charger was looked at for the first time is none.
  await module.awaitThat((s) => s.boots.length === 1 && s.up, DEADLINE_MS, 'the first boot');
  const driver = createSimulatedDriver({ dataDir, station: 'rebooting', settings: { reboot_ms: 50 } });
  const moves: string[] = [];
  module.on('down', (why) => moves.push(why));
  await driver.start({ step: 'reboot', operationId: 'one' }, life.signal);
  await module.awaitThat((s) => s.boots.length === 2 && s.up, DEADLINE_MS, 'the reboot');
  t.equal(moves.length, 1);
  await driver.start({ step: 'restart', operationId: 'two' }, life.signal);
  await module.awaitThat((s) => s.boots.length === 3 && s.up, DEADLINE_MS, 'the restart');
});

void t.test('two stations share a module id below their prefixes', async (t) => {
  const shared = { moduleId: 'api_system', topicPrefix: 'depot/{station}/' };
  const a = station(t, { ...shared, station: 'a' });
  const b = station(t, { ...shared, station: 'b' });
  const peerA = await foreigner(t, 'depot/a/', { ...BOOTED, is_reset_allowed: 'true' });
  const peerB = await foreigner(t, 'depot/b/', { ...BOOTED, is_reset_allowed: 'false' });
  await Promise.all([a.module.start(), b.module.start()]);
  const [yes, no] = await Promise.all([
    a.module.request('is_reset_allowed', 'Soft'),
    b.module.request('is_reset_allowed', 'Soft'),
  ]);
  t.equal(yes.reply, true);
  t.equal(no.reply, false);
  t.equal(peerA.on('/is_reset_allowed').length, 1);
  t.equal(peerB.on('/is_reset_allowed').length, 1);
  await peerB.say(`${b.home}m2e/communication_check`, 'true');
  await b.module.awaitThat((s) => s.checks.length === 1, DEADLINE_MS);
  t.same(a.module.checks, []);
});

void t.test('the communication fault is raised at start, cleared by a check and raised by silence', async (t) => {
  const { module, root, home } = station(t, { communicationCheckS: 1 });
  const peer = await foreigner(t, root, BOOTED);
  await module.start();
  t.match(module.faults, [{ subType: 'Initial communication check', clearedAtMs: undefined }]);
  await peer.say(`${home}m2e/communication_check`, 'true');
  await module.awaitThat((s) => s.faults[0]?.clearedAtMs !== undefined, DEADLINE_MS, 'the first check');
  await module.awaitThat((s) => s.faults.length === 2, DEADLINE_MS, 'silence');
  t.equal(module.faults[1]?.subType, 'Bridge to implementation connection lost');
  await peer.say(`${home}m2e/communication_check`, 'false');
  await module.awaitThat((s) => s.faults[1]?.clearedAtMs !== undefined, DEADLINE_MS, 'false clears');
  await module.restart();
  t.equal(module.faults.length, 3, 'and the next boot supervises again');
});

void t.test('a lost connection ends EVerest; the supervisor of the fleet starts it again', async (t) => {
  const own = await startMosquitto({ dir: t.testdir() });
  t.teardown(() => own.stop());
  const fleet = createFleet({
    mqttUrl: own.url,
    stations: ['one', 'two'],
    dialect: 'ocpp2.x',
    pauseMs: 20,
  });
  t.teardown(() => fleet.stop());
  await fleet.start(new AbortController().signal);
  const [one, two] = fleet.stations;
  if (!one || !two) throw new Error('two stations');
  const pending = one.request('is_reset_allowed', 'Soft').catch((error: unknown) => error);
  await own.kill();
  await Promise.all(fleet.stations.map((s) => s.awaitThat((x) => !x.up, DEADLINE_MS, 'the loss')));
  t.match(await pending, { code: 'STATION_DOWN' });
  t.throws(() => one.allow(), { code: 'STATION_DOWN' });
  await own.restart();
  await Promise.all(fleet.stations.map((s) => s.awaitThat((x) => x.up && x.boots.length === 2, DEADLINE_MS, 'a boot')));
  await fleet.stop();
  t.notOk(one.up || two.up);
});
