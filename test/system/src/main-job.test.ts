import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import { makeImage, makeSigner, type SignatureScheme } from '@khumbu/test-support/firmware';
import { type Behaviour, startOrigin } from '@khumbu/test-support/origin';
import { PLAIN, SIGNED, UNSIGNED, withoutDelayedPermission, withoutRepeats } from '@khumbu/test-support/statuses';
import t, { type Test } from 'tap';
import { startCluster } from './cluster.js';
import { ANSWER_LATEST_MS, allowAfter, connect, inSeconds, PATIENCE_MS, runningImage, update } from './everest.js';

const MB = 1_000_000;
/** Enough to do something while it lasts. */
const SLOW: Behaviour = { bytesPerSecond: 60_000 };
/**
 * Dates are this far ahead: what is told only of a date that is still to come (DownloadScheduled, InstallScheduled) is told after
 * the request, the download and the verification, each of which a busy machine may make seconds of.
 */
const SOON_MS = 60_000;
const LATER_MS = 90_000;
/** By so much the clock of the depot, which judges dates, may be ahead of ours: half of the way of one question to Redis. */
const CLOCKS_MS = 500;

t.jobs = 8;
const dir = t.testdir({ keys: {} });
const origin = await startOrigin();
t.teardown(() => origin.close());
const cluster = await startCluster(t, {
  dataDir: `${dir}/data`,
  stations: {
    usual: { simulated: { install_ms: 1000, reboot_ms: 1000 } },
    slow_to_install: { simulated: { install_ms: 45_000, reboot_ms: 30_000 } },
    waiting_2x: { dialect: 'ocpp2.x' },
    waiting_16: { dialect: 'ocpp1.6' },
    plain_16: { dialect: 'ocpp1.6' },
    in_transaction: { dialect: 'ocpp1.6' },
    by_night: { dialect: 'ocpp1.6', ready_lead_s: 2 },
    falls_back: { simulated: { fail: { install: 'fallback' } } },
    unfit: { simulated: { fail: { install: 'verification_failed' } } },
    unfit_16: { dialect: 'ocpp1.6', simulated: { fail: { install: 'verification_failed' } } },
  },
});
const signer = await makeSigner(`${dir}/keys`);
const image = makeImage(300_000, 'small');
const signed = (bytes: Uint8Array) => signer.signed(bytes);

/** Independent of all others: they share the cluster, each with stations of its own. */
const test = (name: string, body: (t: Test) => Promise<void>): void => {
  void t.test(name, { buffered: true }, body);
};

test('a signed update of 3 MB: exactly these statuses, one install, proved by the boot that follows', async (t) => {
  const client = await connect(t, cluster, 'usual');
  const big = makeImage(3 * MB, 'main job');
  t.same((await askUntilDecided('get_boot_reason', () => client.request('get_boot_reason'))).reply, 'PowerUp');
  const location = origin.serve('/main.bin', big.bytes);
  const request = { request_id: 17, location, retrieve_timestamp: inSeconds(-1), ...signed(big.bytes) };
  const { reply, ms } = await askUntilDecided('update_firmware', () => client.request('update_firmware', request));
  t.equal(reply, 'Accepted');
  t.ok(ms < ANSWER_LATEST_MS, `answered in ${Math.round(ms)} ms`);
  await allowAfter(client, 17, 'SignatureVerified');
  // At once: one that has no heartbeats and asks again later has booted anew.
  const ask = () => askUntilDecided('get_boot_reason', () => client.request('get_boot_reason'));
  const reasons = (await Promise.all([ask(), ask()])).map(({ reply: reason }) => reason);
  t.same(reasons, ['FirmwareUpdate', 'FirmwareUpdate'], 'every question in one boot');
  t.same(withoutDelayedPermission(client.statusNames(17)), SIGNED);
  t.ok(client.messages.items.every((message) => !message.retain));
  const charger = await cluster.charger('usual');
  t.equal(charger.installCount, 1);
  t.equal(runningImage(charger), big.sha256);
  t.equal(origin.stats('/main.bin').gets, 1);
});

const SCHEMES: readonly { scheme: SignatureScheme; literal: boolean }[] = [
  { scheme: 'rsa-pkcs1', literal: true },
  { scheme: 'rsa-pss', literal: false },
  { scheme: 'ecdsa', literal: true },
];
for (const { scheme, literal } of SCHEMES) {
  test(`signed with ${scheme}${literal ? ', line ends of the certificate as two characters' : ''}`, async (t) => {
    const client = await connect(t, cluster, `signed_${scheme}`);
    const own = await makeSigner(`${dir}/keys-${scheme}`, scheme);
    const { signing_certificate: certificate, signature } = own.signed(image.bytes);
    const request = {
      location: origin.serve(`/${scheme}.bin`, image.bytes),
      signature,
      signing_certificate: literal ? certificate.replaceAll('\n', '\\n') : certificate,
    };
    t.equal(await update(client, 1, request), 'Accepted');
    await allowAfter(client, 1, 'SignatureVerified');
    t.same(withoutDelayedPermission(client.statusNames(1)), SIGNED);
  });
}

test('unsigned, with an id and as the plain update of OCPP 1.6', async (t) => {
  const location = origin.serve('/unsigned.bin', image.bytes);
  const client = await connect(t, cluster, 'unsigned');
  t.equal(await update(client, 5, { location }), 'Accepted');
  await allowAfter(client, 5, 'Downloaded');
  t.same(client.statusNames(5), UNSIGNED);

  const plain = await connect(t, cluster, 'plain_16');
  t.equal(await update(plain, -1, { location, retrieve_timestamp: inSeconds(1) }), 'Accepted');
  await allowAfter(plain, -1, 'Downloaded');
  t.same(plain.statusNames(-1), PLAIN, 'nothing of what a CSMS without ids does not know');
});

interface Failure {
  readonly what: string;
  readonly station: string;
  readonly id?: number;
  readonly behaviour?: Behaviour;
  readonly request?: Readonly<Record<string, unknown>>;
  readonly statuses: readonly string[];
  readonly requests?: number;
}
const FAILURES: readonly Failure[] = [
  {
    what: 'the signature of another image',
    station: 'bad_signature',
    request: signed(Buffer.from('another')),
    statuses: ['Downloading', 'Downloaded', 'InvalidSignature'],
    requests: 1,
  },
  {
    what: '404: nothing to try again',
    station: 'not_found',
    behaviour: { status: 404 },
    request: { retries: 3, retry_interval_s: 1 },
    statuses: ['Downloading', 'DownloadFailed'],
    requests: 1,
  },
  {
    what: '503 at every try: silent until the last',
    station: 'unavailable',
    behaviour: { status: 503 },
    request: { retries: 3, retry_interval_s: 1 },
    statuses: ['Downloading', 'DownloadFailed'],
    requests: 3,
  },
  {
    what: 'the charger finds the image unfit',
    station: 'unfit',
    statuses: ['Downloading', 'Downloaded', 'Installing', 'InstallVerificationFailed'],
  },
  {
    what: 'the same in OCPP 1.6 without an id',
    station: 'unfit_16',
    id: -1,
    statuses: ['Downloading', 'Downloaded', 'Installing', 'InstallationFailed'],
  },
  {
    what: 'the charger falls back to its old slot',
    station: 'falls_back',
    statuses: ['Downloading', 'Downloaded', 'Installing', 'InstallRebooting', 'InstallationFailed'],
  },
];
for (const { what, station, id = 3, behaviour = {}, request = {}, statuses, requests = 1 } of FAILURES) {
  test(`it ends as it went: ${what}`, async (t) => {
    const client = await connect(t, cluster, station);
    const location = origin.serve(`/${station}.bin`, image.bytes, behaviour);
    const last = statuses.at(-1) ?? '';
    t.equal(await update(client, id, { location, ...request }), 'Accepted');
    if (statuses.includes('Installing')) {
      await client.awaitStatus(id, 'Downloaded', PATIENCE_MS);
      await client.allowInstallation();
    }
    await client.awaitStatus(id, last, PATIENCE_MS);
    // What would come after it would come before the first status of the next one.
    const next = origin.serve(`/${station}-next.bin`, image.bytes, { status: 404 });
    t.equal(await update(client, 4, { location: next }), 'Accepted');
    await client.awaitStatus(4, 'DownloadFailed', PATIENCE_MS);
    t.same(client.statusNames(id), statuses);
    t.equal(origin.stats(`/${station}.bin`).gets, requests);
  });
}

test('tries that fail are silent, and the pause between them is kept', async (t) => {
  const client = await connect(t, cluster, 'retries');
  const flaky = [{ status: 500 }, { cutAfterBytes: 100_000 }, {}];
  const location = origin.serve('/flaky.bin', image.bytes, flaky);
  const began = Date.now();
  t.equal(await update(client, 8, { location, retries: 3, retry_interval_s: 1 }), 'Accepted');
  await allowAfter(client, 8, 'Downloaded');
  t.ok(Date.now() - began >= 2000, 'two pauses of a second');
  t.same(client.statusNames(8), UNSIGNED);
  const { bodyBytes } = origin.stats('/flaky.bin');
  // 64 KiB come once more, to be compared: not all of what the second has brought.
  t.ok(bodyBytes < image.bytes.length + 80 * 1024, `the third goes on where the second broke: ${bodyBytes} bytes`);
});

test('fetched later, installed later: neither before its time nor without permission', async (t) => {
  const location = origin.serve('/later.bin', image.bytes);
  const fetched = await connect(t, cluster, 'retrieved_later');
  const retrieveAt = Date.now() + SOON_MS;
  const retrieve = { location, retrieve_timestamp: new Date(retrieveAt).toISOString(), ...signed(image.bytes) };
  t.equal(await update(fetched, 1, retrieve), 'Accepted');
  await fetched.awaitStatus(1, 'DownloadScheduled');
  const early = await connect(t, cluster, 'allowed_early');
  const late = await connect(t, cluster, 'allowed_late');
  const installAt = Date.now() + LATER_MS;
  const install = { location, install_timestamp: new Date(installAt).toISOString(), ...signed(image.bytes) };
  t.equal(await update(early, 2, install), 'Accepted');
  t.equal(await update(late, 3, install), 'Accepted');

  await early.awaitStatus(2, 'InstallScheduled', PATIENCE_MS);
  await early.allowInstallation();
  await late.awaitStatus(3, 'InstallScheduled', PATIENCE_MS);
  await fetched.awaitStatus(1, 'Downloading', PATIENCE_MS);
  t.ok(Date.now() >= retrieveAt - CLOCKS_MS, 'not fetched before its time');
  await early.awaitStatus(2, 'Installing', PATIENCE_MS);
  t.ok(Date.now() >= installAt - CLOCKS_MS, 'not installed before its time');
  await early.awaitStatus(2, 'Installed', PATIENCE_MS);
  t.same(late.statusNames(3).at(-1), 'InstallScheduled', 'its time has come, its permission has not');
  await allowAfter(late, 3, 'InstallScheduled');
  await allowAfter(fetched, 1, 'SignatureVerified');

  t.same(withoutDelayedPermission(fetched.statusNames(1)), ['DownloadScheduled', ...SIGNED]);
  const waited = SIGNED.flatMap((status) => (status === 'SignatureVerified' ? [status, 'InstallScheduled'] : [status]));
  t.same(early.statusNames(2), waited);
  t.same(late.statusNames(3), waited);
});

test('connectors stay in use until shortly before a later installation, and REST says at once that it is ready', async (t) => {
  const client = await connect(t, cluster, 'by_night');
  const installAt = Date.now() + LATER_MS;
  const location = origin.serve('/by-night.bin', image.bytes);
  const request = { location, install_timestamp: new Date(installAt).toISOString(), ...signed(image.bytes) };
  t.equal(await update(client, 1, request), 'Accepted');
  type Seen = { status: string; installTimestamp?: string; waiting?: { for: string; until?: string } };
  const seen = async () => ((await cluster.get('/stations/by_night')) as { operations: Seen[] }).operations[0];
  await awaitUntil(async () => (await seen())?.status === 'InstallScheduled', PATIENCE_MS, 'the verdict over REST');
  t.match(await seen(), {
    installTimestamp: new Date(installAt).toISOString(),
    waiting: { for: 'announcement', until: new Date(installAt - 2000).toISOString() },
  });
  t.same(client.statusNames(1), ['Downloading', 'Downloaded'], 'EVerest does not hear of it');
  await client.allowInstallation();
  await client.awaitStatus(1, 'SignatureVerified', PATIENCE_MS);
  t.ok(Date.now() >= installAt - 2000 - CLOCKS_MS, 'shortly before the date');
  await client.awaitStatus(1, 'InstallScheduled', PATIENCE_MS);
  await awaitUntil(() => Date.now() > installAt + 500, PATIENCE_MS, 'the date to pass');
  t.same(client.statusNames(1).at(-1), 'InstallScheduled', 'a permission of before counts for nothing');
  await client.allowInstallation();
  await client.awaitStatus(1, 'Installed', PATIENCE_MS);
  const waited = SIGNED.flatMap((status) => (status === 'SignatureVerified' ? [status, 'InstallScheduled'] : [status]));
  t.same(client.statusNames(1), waited);
});

test('a signed update whose permission a transaction delays tells that it is scheduled', async (t) => {
  const client = await connect(t, cluster, 'in_transaction');
  const location = origin.serve('/in-transaction.bin', image.bytes);
  t.equal(await update(client, 1, { location, ...signed(image.bytes) }), 'Accepted');
  await client.awaitStatus(1, 'InstallScheduled', PATIENCE_MS);
  await client.allowInstallation();
  await client.awaitStatus(1, 'Installed', PATIENCE_MS);
  const waited = SIGNED.flatMap((status) => (status === 'SignatureVerified' ? [status, 'InstallScheduled'] : [status]));
  t.same(client.statusNames(1), waited);
});

test('a second request while the first downloads takes its place', async (t) => {
  const client = await connect(t, cluster, 'superseded');
  const first = origin.serve('/first.bin', makeImage(3 * MB, 'first').bytes, SLOW);
  const second = origin.serve('/second.bin', image.bytes);
  t.equal(await update(client, 1, { location: first }), 'Accepted');
  await origin.awaitBytes('/first.bin', 100_000);
  t.equal(await update(client, 2, { location: second, ...signed(image.bytes) }), 'AcceptedCanceled');
  await allowAfter(client, 2, 'SignatureVerified');
  t.same(client.statusNames(1), ['Downloading'], 'nothing more of the old one');
  t.same(withoutDelayedPermission(client.statusNames(2)), SIGNED);
  t.ok(origin.requests.items.find((request) => request.path === '/first.bin')?.ended, 'and nobody fetches it');
  t.ok(origin.stats('/first.bin').bodyBytes < 3 * MB);
  t.equal((await cluster.charger('superseded')).installCount, 1);
});

test('a second request while the first is installed is rejected', async (t) => {
  const client = await connect(t, cluster, 'slow_to_install');
  const location = origin.serve('/installing.bin', image.bytes);
  t.equal(await update(client, 1, { location }), 'Accepted');
  await client.awaitStatus(1, 'Downloaded', PATIENCE_MS);
  await client.allowInstallation();
  await client.awaitStatus(1, 'Installing', PATIENCE_MS);
  t.equal(await update(client, 2, { location }), 'Rejected');
  t.equal((await client.request('is_reset_allowed', 'Soft')).reply, false);
  await client.awaitStatus(1, 'InstallRebooting', PATIENCE_MS);
  t.equal(await update(client, 3, { location }), 'Rejected', 'also while it reboots');
  await client.awaitStatus(1, 'Installed', PATIENCE_MS);
  t.same([client.statusNames(1), client.statusNames(2), client.statusNames(3)], [UNSIGNED, [], []]);
});

for (const [station, closing] of [
  ['waiting_2x', []],
  ['waiting_16', ['InstallationFailed']],
] as const) {
  test(`superseded while permission is awaited: ${station}`, async (t) => {
    const client = await connect(t, cluster, station);
    const location = origin.serve(`/${station}.bin`, image.bytes);
    t.equal(await update(client, 1, { location, ...signed(image.bytes) }), 'Accepted');
    await client.awaitStatus(1, 'SignatureVerified', PATIENCE_MS);
    t.equal(await update(client, 2, { location, ...signed(image.bytes) }), 'AcceptedCanceled');
    await allowAfter(client, 2, 'SignatureVerified');
    t.same(client.statusNames(1), ['Downloading', 'Downloaded', 'SignatureVerified', ...closing]);
    t.same(withoutDelayedPermission(client.statusNames(2)), SIGNED);
    const order = client.messages.items.map((message) => message.text);
    const closed = order.findIndex((text) => text.includes('InstallationFailed'));
    t.ok(closed < order.findLastIndex((text) => text.includes('"Downloading"')), 'closed before the next one begins');
  });
}

test('connectors that stay in use: no permission is waited for, and the status says so', async (t) => {
  const unsigned = await connect(t, cluster, 'fragment');
  const location = origin.serve('/fragment.bin', image.bytes);
  t.equal(await update(unsigned, 1, { location: `${location}#disable_connectors_during_install=false` }), 'Accepted');
  await unsigned.awaitStatus(1, 'Installed', PATIENCE_MS);
  t.same(unsigned.statusNames(1), UNSIGNED);
  const metadata = { disable_connectors_during_install: false };
  t.match((await unsigned.awaitStatus(1, 'Downloaded')).json, { firmware_update_metadata: metadata });

  const client = await connect(t, cluster, 'metadata_block');
  const own = makeImage(300_000, 'with a block', false);
  const request = { location: origin.serve('/block.bin', own.bytes), ...signed(own.bytes) };
  t.equal(await update(client, 2, request), 'Accepted');
  await client.awaitStatus(2, 'Installed', PATIENCE_MS);
  t.same(withoutDelayedPermission(client.statusNames(2)), SIGNED);
  t.match((await client.awaitStatus(2, 'SignatureVerified')).json, { firmware_update_metadata: metadata });
});

test('permission that comes unasked, too early, or twice', async (t) => {
  const client = await connect(t, cluster, 'permissive');
  const slow = makeImage(MB, 'permission');
  const location = origin.serve('/permission.bin', slow.bytes, SLOW);
  await client.allowInstallation();
  t.equal(await update(client, 1, { location, ...signed(slow.bytes) }), 'Accepted');
  await origin.awaitBytes('/permission.bin', 100_000);
  await client.allowInstallation();
  await client.awaitStatus(1, 'SignatureVerified', PATIENCE_MS);
  t.match(await cluster.get('/stations/permissive'), {
    operations: [{ status: 'SignatureVerified', waitingFor: 'permission' }],
  });
  // An update that begins after this point and needs no permission overtakes it.
  const barrier = await connect(t, cluster, 'permission_barrier');
  const free = origin.serve('/barrier.bin', image.bytes);
  await update(barrier, 1, { location: `${free}#disable_connectors_during_install=false` });
  await barrier.awaitStatus(1, 'Installed', PATIENCE_MS);
  t.equal(withoutDelayedPermission(client.statusNames(1)).at(-1), 'SignatureVerified');
  await client.allowInstallation();
  await client.allowInstallation();
  await client.awaitStatus(1, 'Installed', PATIENCE_MS);
  await client.allowInstallation();
  t.same(withoutDelayedPermission(client.statusNames(1)), SIGNED);
  t.equal((await cluster.charger('permissive')).installCount, 1);
});

for (const given of [false, true]) {
  test(`EVerest restarts while ${given ? 'an allowed install waits for its time' : 'permission is awaited'}`, async (t) => {
    const station = given ? 'restarts_allowed' : 'restarts_waiting';
    const client = await connect(t, cluster, station, { heartbeatMs: 200 });
    const location = origin.serve(`/${station}.bin`, image.bytes);
    const later = given ? { install_timestamp: inSeconds(LATER_MS / 1000) } : {};
    t.equal(await update(client, 1, { location, ...later, ...signed(image.bytes) }), 'Accepted');
    await client.awaitStatus(1, given ? 'InstallScheduled' : 'SignatureVerified', PATIENCE_MS);
    if (given) await client.allowInstallation();
    const heard = client.messages.items.length;
    const bootEpoch = async (): Promise<number> =>
      ((await cluster.get(`/stations/${station}`)) as { bootEpoch: number }).bootEpoch;
    const before = await bootEpoch();
    client.startHeartbeats(200);
    await client.messages.awaitAll(
      (items) => items.slice(heard).some((item) => item.text.includes('SignatureVerified')),
      PATIENCE_MS,
      'the trigger to be told again',
    );
    t.equal(await bootEpoch(), before + 1);
    if (given) {
      // Another one with the same time, which was allowed in its only boot, goes first.
      const barrier = await connect(t, cluster, `${station}_barrier`);
      await update(barrier, 1, { location: `${location}#disable_connectors_during_install=false`, ...later });
      await barrier.awaitStatus(1, 'Installed', PATIENCE_MS);
      t.notOk(client.statusNames(1).includes('Installing'), 'the old permission is void');
    }
    await client.allowInstallation();
    await client.awaitStatus(1, 'Installed', PATIENCE_MS);
    const told = client.statusNames(1);
    // Once more, directly after itself, for each time that its heartbeats came too late on a busy machine.
    t.same(withoutRepeats(told).slice(-3), ['Installing', 'InstallRebooting', 'Installed']);
    t.ok(told.filter((status) => status === 'SignatureVerified').length >= 2);
    t.equal((await cluster.charger(station)).installCount, 1);
  });
}
