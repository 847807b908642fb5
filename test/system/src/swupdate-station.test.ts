/** From an MQTT request to Installed at a real station by SSH, with SWUpdate; never a lie when parts of it are killed. */
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { awaitUntil } from '@khumbu/test-support/events';
import { makeSigner } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import { hasSshd, overSsh, type Sshd, startSshd } from '@khumbu/test-support/sshd';
import { SIGNED, withoutDelayedPermission } from '@khumbu/test-support/statuses';
import type { SwuOptions } from '@khumbu/test-support/swu';
import { hasSwupdate, type SwupdateStation, startSwupdate } from '@khumbu/test-support/swupdate';
import t from 'tap';
import { startCluster } from './cluster.js';
import { connect, PATIENCE_MS, update } from './everest.js';

t.setTimeout(900_000);
/** A slot is written, up to three times, on a busy machine. */
const INSTALL_MS = 4 * PATIENCE_MS;

const driverOf = (station: SwupdateStation, sshd: Sshd): RealDriverEntry => ({
  ...overSsh(sshd),
  state_dir: join(station.dir, 'state'),
  profile: 'swupdate',
  swupdate: station.settings,
  boot_id: ['cat', station.bootIdFile],
  reboot: [...station.reboot],
  restart_everest: ['true'],
});

const skip = hasSshd() && hasSwupdate() ? false : 'there is no sshd or no SWUpdate';
await t.test('an update by SWUpdate', { skip }, async (t) => {
  const dir = t.testdir({ keys: {} });
  const sshd = await startSshd({ dir: join(dir, 'sshd') });
  t.teardown(() => sshd.stop());
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  const signer = await makeSigner(join(dir, 'keys'));
  const station = await startSwupdate();
  t.teardown(() => station.stop());
  execFileSync('mkfifo', [join(station.dir, 'hold')]);
  const cluster = await startCluster(t, {
    dataDir: join(dir, 'data'),
    stations: { gate: { driver: driverOf(station, sshd), certificate: 'any', settle_ms: 0 } },
  });
  const client = await connect(t, cluster, 'gate');
  const begin = async (requestId: number, change: Partial<SwuOptions> = {}) => {
    const { path } = await station.image(`v${requestId}`, { version: `${requestId}.0`, ...change });
    const image = readFileSync(path);
    const before = await station.begun();
    const location = origin.serve(`/v${requestId}.swu`, image);
    t.equal(await update(client, requestId, { location, ...signer.signed(image) }), 'Accepted');
    await client.awaitStatus(requestId, 'SignatureVerified', PATIENCE_MS);
    await client.allowInstallation();
    await awaitUntil(async () => (await station.begun()) > before, INSTALL_MS, 'the install to begin');
  };
  const letUntil = async (requestId: number, status: string) => {
    const timer = setInterval(() => void station.let(), 100);
    await client.awaitStatus(requestId, status, INSTALL_MS);
    clearInterval(timer);
    await station.unset('go');
  };

  await t.test('with the worker killed in the middle of the install', async (t) => {
    await begin(1);
    await cluster.kill('ota-worker-1');
    await letUntil(1, 'Installed');
    t.same(withoutDelayedPermission(client.statusNames(1)), SIGNED);
    t.equal(await station.begun(), 1, 'one install');
    t.equal(station.variable('slot'), 'b');
    t.match((await station.slot('b')).subarray(0, 4).toString(), '1.0\n');
  });

  await t.test('with the daemon killed when half of the slot is written: it is installed again', async (t) => {
    await begin(2, { halves: true });
    await station.let();
    const isHalf = async () => (await station.slot('a')).subarray(0, 4).toString() === '2.0\n';
    await awaitUntil(isHalf, PATIENCE_MS, 'half of the slot to be written');
    await station.killDaemon();
    // A process group of its own: the one that reads may be blocked in it.
    const reader = spawn('sh', ['-c', 'while [ -p "$0" ]; do cat "$0"; done', join(station.dir, 'hold')], {
      stdio: 'ignore',
      detached: true,
    });
    const { pid } = reader;
    if (pid === undefined) throw new Error('nobody reads what is held');
    t.teardown(() => process.kill(-pid, 'SIGKILL'));
    await letUntil(2, 'Installed');
    t.same(withoutDelayedPermission(client.statusNames(2)), SIGNED);
    t.equal(await station.begun(), 3);
    t.equal(station.variable('slot'), 'a');
    t.equal(station.variable('recovery_status'), '');
  });

  await t.test('with the daemon killed for good: InstallationFailed, and the old slot boots', async (t) => {
    await begin(3);
    await station.killDaemon(true);
    await letUntil(3, 'InstallationFailed');
    t.notOk(client.statusNames(3).includes('Installed'));
    t.equal(station.variable('slot'), 'a');
    t.equal(station.variable('recovery_status'), 'in_progress');
  });
});
