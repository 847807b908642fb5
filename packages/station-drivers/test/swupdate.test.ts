/** Profile `swupdate` with a real SWUpdate: its daemon, files for slots, and a U-Boot environment in files. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { awaitUntil } from '@khumbu/test-support/events';
import { hasSshd, overSsh, startSshd } from '@khumbu/test-support/sshd';
import { hasSwupdate } from '@khumbu/test-support/swupdate';
import t from 'tap';
import { driverContract } from '../src/contract/driver-contract.js';
import { processesWith, programOf } from './stage.js';
import {
  begun,
  contractStation,
  end,
  install,
  letting,
  outputOf,
  PATIENCE_MS,
  rebooted,
  setUp,
} from './swupdate-stage.js';

const { signal } = new AbortController();
t.setTimeout(1_800_000);
const only = { skip: hasSwupdate() ? false : 'there is no SWUpdate, or we are not root' };

await t.test('updates, and the verdict after the reboot', only, async (t) => {
  const { station, driver } = await setUp(t);
  const before = await driver().observe(signal);
  t.match(before, { bootId: 'b1', slot: 'a', version: '0.9', healthy: true, busy: false });
  const image = await station.image('op-1');
  await driver().start({ step: 'install', operationId: 'op-1', image }, signal);
  await begun(station);
  t.match(await driver().observe(signal), { ...before, busy: true });
  await station.let();
  t.same(await end(driver()), { state: 'succeeded', rebootNeeded: true });
  t.same(await driver().observe(signal), before, 'nothing of it runs yet');
  t.equal(station.variable('slot'), 'b');
  t.equal(station.variable('ustate'), '1');
  const first = { runningInstalledBy: 'op-1', runningImageSha256: image.sha256, slot: 'b', version: '1.0' };
  t.match(await rebooted(driver(), 'op-1'), first);

  await station.set('fall-back');
  await station.let();
  await driver().start(await install(station, 'op-2', { version: '2.0' }), signal);
  t.match(await end(driver(), 'op-2'), { state: 'succeeded' });
  t.match(await rebooted(driver(), 'op-2'), first, 'fallen back');

  await station.unset('fall-back');
  await station.let();
  const third = await station.image('op-3', { version: '3.0' });
  await driver().start({ step: 'install', operationId: 'op-3', image: third }, signal);
  t.match(await end(driver(), 'op-3'), { state: 'succeeded' });
  const running = { runningInstalledBy: 'op-3', runningImageSha256: third.sha256, slot: 'a', version: '3.0' };
  t.match(await rebooted(driver(), 'op-3'), running);

  await t.test('a slot that others have written since is not ours', async (t) => {
    await writeFile(join(station.dir, 'slot-a'), '9.9\n');
    const seen = await driver().observe(signal);
    t.match(seen, { slot: 'a', version: '9.9' });
    t.notOk('runningInstalledBy' in seen || 'runningImageSha256' in seen);
  });
});

await t.test('what runs already', only, async (t) => {
  const { station, driver, withSettings } = await setUp(t);
  await station.let();
  const same = { members: 'name = "rootfs"; version = "0.9"; install-if-different = true;', version: '0.9' };
  await writeFile(join(station.dir, 'etc/sw-versions'), 'rootfs 0.9\n');
  // Which it reads when it begins.
  await station.killDaemon();
  const image = await station.image('bare', { ...same, bare: true, variables: {} });
  await driver().start({ step: 'install', operationId: 'bare', image }, signal);
  t.same(await end(driver(), 'bare'), { state: 'succeeded', rebootNeeded: false });
  t.match(await driver().observe(signal), { runningInstalledBy: 'bare', runningImageSha256: image.sha256 });
  // With a script SWUpdate leaves the images out as well, and sets the variables all the same.
  await driver().start(await install(station, 'scripted', same), signal);
  t.same(await end(driver(), 'scripted'), { state: 'succeeded', rebootNeeded: false });
  t.equal(station.variable('slot'), 'a', 'a slot that was not written does not boot');

  await station.let();
  const liar = { ...same, version: '5.0' };
  await driver().start(await install(station, 'liar', liar), signal);
  t.match(await end(driver(), 'liar'), { state: 'failed', message: /left out images/ });
  await driver().start(await install(station, 'bare-liar', { ...liar, bare: true, variables: {} }), signal);
  t.match(await end(driver(), 'bare-liar'), {
    state: 'failed',
    message: /Found nothing to install: version '0\.9' runs, the image has '5\.0'/,
  });
  t.equal(station.variable('slot'), 'a');
  const blind = withSettings({ version: undefined });
  await blind.start(await install(station, 'blind', same), signal);
  t.match(await end(blind, 'blind'), { state: 'failed', message: /takes the setting version/ });
});

await t.test('the same words for a selection that is not in the image', only, async (t) => {
  const { station, withSettings } = await setUp(t, {
    daemon: (key) => ['-v', '-B', 'uboot', '-q', 'stable,copy-b', '-q', 'stable,none', '-k', key],
  });
  await station.let();
  const none = withSettings({ selections: { a: 'stable,copy-a', b: 'stable,none' } });
  await none.start(await install(station, 'op-1', { version: '1.0' }), signal);
  t.match(await end(none), { state: 'failed', message: /Found nothing to install: version '0\.9' runs/ });
  const refused = withSettings({ selections: { a: 'stable,copy-a', b: 'stable,other' } });
  await refused.start(await install(station, 'op-2'), signal);
  t.match(await end(refused, 'op-2'), {
    state: 'failed',
    code: 'failed',
    message: /Selection stable,other is not allowed/,
  });
});

await t.test('without a bootloader interface nothing is begun', only, async (t) => {
  const { station, driver } = await setUp(t, {
    daemon: (key) => ['-v', '-q', 'stable,copy-a', '-q', 'stable,copy-b', '-k', key],
  });
  await station.let();
  await driver().start(await install(station), signal);
  t.match(await end(driver()), { state: 'failed', code: 'failed', message: /without a bootloader interface.*-B/ });
  t.equal(await station.begun(), 0);
});

await t.test('an image that switches nothing', only, async (t) => {
  const { station, driver } = await setUp(t);
  await station.let();
  await driver().start(await install(station, 'op-1', { variables: { other: '1' } }), signal);
  t.match(await end(driver()), {
    state: 'failed',
    message: /a boots as before: has the image a bootenv that sets slot/,
  });
});

await t.test('what was switched is looked at once more before the reboot', only, async (t) => {
  const { station, driver } = await setUp(t);
  await station.let();
  await driver().start(await install(station), signal);
  t.match(await end(driver()), { state: 'succeeded' });
  station.setVariable('slot', 'a');
  await driver().start({ step: 'reboot', operationId: 'op-1' }, signal);
  t.match(await end(driver(), 'op-1', 'reboot'), { state: 'failed', message: /a would boot, and not b/ });
  t.match(await driver().observe(signal), { bootId: 'b1' });
});

await t.test('without a daemon: SWUpdate is started for each update', only, async (t) => {
  const { station, withSettings } = await setUp(t, { daemon: 'none' });
  const settings = {
    program: [...station.inside('swupdate')],
    public_key: station.publicKey,
    tmpdir: join(station.dir, 'tmp'),
  };
  const driver = withSettings(settings);
  const slot = await station.slot('b');
  await driver.start(await install(station), signal);
  await begun(station);
  t.match(await driver.observe(signal), { slot: 'a', busy: true });
  const ours = processesWith(`swupdate -v -B uboot -k ${station.publicKey}`).filter(
    (pid) => programOf(pid) === 'swupdate',
  );
  t.ok(ours.length > 0);
  for (const pid of ours) process.kill(pid, 'SIGKILL');
  t.equal(station.variable('recovery_status'), 'in_progress');
  t.same(await letting(station, end(driver)), { state: 'succeeded', rebootNeeded: true });
  t.equal(await station.begun(), 2);
  t.notOk(slot.equals(await station.slot('b')));
  t.match(await rebooted(driver, 'op-1'), { runningInstalledBy: 'op-1', slot: 'b', version: '1.0' });

  await station.let();
  await driver.start(await install(station, 'stranger', { stranger: true }), signal);
  t.match(await end(driver, 'stranger'), { code: 'verification_failed', message: /Authentication/ });
  const other = withSettings({ ...settings, hardware: 'board:2.0' });
  await other.start(await install(station, 'other'), signal);
  t.match(await end(other, 'other'), { code: 'verification_failed', message: /not compatible with hardware/ });
  const keyless = withSettings({ ...settings, public_key: undefined });
  await keyless.start(await install(station, 'keyless'), signal);
  t.match(await end(keyless, 'keyless'), { code: 'failed', message: /built for signed images/ });
  t.equal(station.variable('slot'), 'b');
});

await t.test('without a daemon, and one runs all the same: it is waited for', only, async (t) => {
  const { station, withSettings } = await setUp(t);
  const driver = withSettings({ program: [...station.inside('swupdate')], public_key: station.publicKey });
  await driver.start(await install(station), signal);
  await awaitUntil(
    async () => (await outputOf(station).catch(() => '')).includes('runs as a daemon'),
    PATIENCE_MS,
    'it to be seen',
  );
  t.match(await driver.observeEffect('op-1', 'install', signal), { state: 'running' });
  await station.killDaemon(true);
  t.same(await letting(station, end(driver)), { state: 'succeeded', rebootNeeded: true });
});

await t.test('the contract, here', only, (t) => driverContract(t, (t) => contractStation(t, {})));
await t.test('the contract, over SSH', { skip: only.skip || !hasSshd() }, async (t) => {
  const sshd = await startSshd({ dir: join(t.testdir({}), 'sshd') });
  t.teardown(() => sshd.stop());
  await driverContract(t, (t) => contractStation(t, overSsh(sshd)));
});
