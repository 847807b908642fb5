/** Effects as transient units of a real systemd: the contract, and what is different under it. */
import { chmod, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@khumbu/shared/runtime/free-port';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { awaitUntil } from '@khumbu/test-support/events';
import { hasSshd, overSsh, sshdFiles } from '@khumbu/test-support/sshd';
import { startSystemd, whyNoSystemd } from '@khumbu/test-support/systemd';
import t, { type Test } from 'tap';
import { awaitEffect } from '../src/await-effect.js';
import { checkBy } from '../src/check/check-by.js';
import { isAllWell } from '../src/check/findings.js';
import { driverContract } from '../src/contract/driver-contract.js';
import type { DriverCheck } from '../src/port.js';
import { createRealDriver } from '../src/station/real-driver.js';
import { createSshPool } from '../src/transports/ssh/ssh-transport.js';
import { endProcessesOf } from './stage.js';
import { makeStandIn } from './stand-in.js';

const { signal } = new AbortController();
const why = hasSshd() ? await whyNoSystemd() : 'there is no sshd';
t.setTimeout(900_000);

/** A station where systemd runs, with an SSH server as its unit. */
async function openStation() {
  const share = t.testdir({});
  await mkdir(join(share, 'sshd'));
  const files = await sshdFiles({ dir: join(share, 'sshd') });
  const port = await freePort();
  await files.prepare(port);
  const server = [files.command, ...files.args(port)].join(' ');
  const unit = `[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=${server}\nRestart=always\n`;
  const dir = await mkdtemp(join(tmpdir(), 'khumbu-systemd-'));
  const systemd = await startSystemd({ dir, share, units: { 'khumbu-sshd.service': unit } });
  t.teardown(() => systemd.stop());
  const listens = () => awaitUntil(() => files.answers(port), 60_000, 'sshd to listen');
  await listens();
  return { share, systemd, listens, transport: overSsh({ ...files.login, port }) };
}
const opened = why === undefined ? await openStation() : undefined;

type Opened = NonNullable<typeof opened>;
const underSystemd = (name: string, body: (t: Test, opened: Opened) => Promise<void>) =>
  t.test(name, { skip: why ?? false }, async (t) => {
    if (opened) await body(t, opened);
  });

let turn = 0;
async function station(t: Test, { share, transport }: Opened, change: Partial<RealDriverEntry> = {}) {
  turn += 1;
  const charger = await makeStandIn(join(share, `charger-${turn}`));
  endProcessesOf(t, charger.dir);
  const entry: RealDriverEntry = { ...charger.entry, ...transport, ...change };
  const driver = () => {
    const pool = createSshPool();
    t.teardown(() => pool.close());
    return createRealDriver('gate', entry, pool);
  };
  return { charger, driver };
}

const effectUnits = async ({ systemd }: Opened): Promise<readonly string[]> => {
  const { stdout } = await systemd.run('systemctl', 'list-units', '--plain', '--no-legend', 'khumbu-*.service');
  return stdout
    .split('\n')
    .map((line) => line.split(' ')[0] ?? '')
    .filter((name) => name !== '' && name !== 'khumbu-sshd.service');
};

await underSystemd('the contract', async (t, opened) => {
  await driverContract(t, async (t) => {
    const { charger, driver } = await station(t, opened);
    return {
      driver,
      image: (name) => charger.image(name),
      async finish() {
        t.not((await effectUnits(opened)).length, 0, 'it is a unit');
        await charger.let();
        await awaitUntil(async () => !(await driver().observe(signal)).busy, 30_000, 'the effect to end');
      },
      interfaceName: 'eth0',
    };
  });
});

await underSystemd('what a session leaves behind is ended with it; an effect is not', async (t, opened) => {
  const { systemd, listens } = opened;
  const { charger, driver } = await station(t, opened);
  await driver().start({ step: 'restart', operationId: 'op-1' }, signal);
  await awaitUntil(async () => (await charger.log()).length === 1, 30_000, 'its command');
  await systemd.run('systemctl', 'stop', 'khumbu-sshd.service');
  await systemd.run('systemctl', 'start', 'khumbu-sshd.service');
  await listens();
  t.match(await driver().observeEffect('op-1', 'restart', signal), { state: 'running' });
  await charger.let();
  t.same(await awaitEffect(driver(), 'op-1', 'restart', signal), { state: 'succeeded' });
  await awaitUntil(async () => (await effectUnits(opened)).length === 0, 30_000, 'its unit to go');
});

await underSystemd('the deadline ends all of it, and its unit goes, whatever it has begun', async (t, opened) => {
  const { systemd, share } = opened;
  const script = join(share, 'stays');
  await writeFile(script, `#!/bin/sh\nsetsid sleep 98765 &\ntrap '' TERM\nwhile :; do sleep 1; done\n`);
  await chmod(script, 0o755);
  const { driver } = await station(t, opened, { restart_everest: [script], limits: { restart_s: 20 } });
  await driver().start({ step: 'restart', operationId: 'op-1' }, signal);
  const strays = async () => (await systemd.run('pgrep', '-f', 'sleep 98765')).stdout;
  await awaitUntil(async () => (await strays()) !== '', 30_000, 'what it begins');
  t.match(await awaitEffect(driver(), 'op-1', 'restart', signal), { state: 'failed', message: /not done in 20 s/ });
  await awaitUntil(async () => (await effectUnits(opened)).length === 0, 30_000, 'its unit to go');
  t.equal(await strays(), '', 'also what had left its session');
});

await underSystemd('a unit that is stopped by its name is an effect that was broken off', async (t, opened) => {
  const { systemd } = opened;
  const { charger, driver } = await station(t, opened);
  await driver().start({ step: 'restart', operationId: 'op-1' }, signal);
  await awaitUntil(async () => (await charger.log()).length === 1, 30_000, 'its command');
  const [unit = ''] = await effectUnits(opened);
  await systemd.run('systemctl', 'stop', unit);
  t.match(await awaitEffect(driver(), 'op-1', 'restart', signal), { state: 'failed', message: /broken off/ });
  t.match(await driver().observe(signal), { busy: false });
});

await underSystemd('a real reboot, by systemctl', async (t, opened) => {
  const { systemd } = opened;
  const evidence = [
    'sh',
    '-c',
    'printf \'{"boot_id": "%s", "healthy": true}\' "$(cat /proc/sys/kernel/random/boot_id)"',
  ];
  const { charger } = await station(t, opened);
  const command = { install: ['false'], evidence };
  const { boot_id: _none, ...plain } = charger.entry;
  const pool = createSshPool();
  t.teardown(() => pool.close());
  const driver = createRealDriver('gate', { ...plain, ...opened.transport, command }, pool);
  const before = await driver.observe(signal);
  const boots = systemd.boots();
  await driver.start({ step: 'reboot', operationId: 'op-1' }, signal);
  t.same(await awaitEffect(driver, 'op-1', 'reboot', signal), { state: 'succeeded' });
  const after = await driver.observe(signal);
  t.not(after.bootId, before.bootId);
  await awaitUntil(() => systemd.boots() === boots + 1, 60_000, 'one boot');
  await driver.start({ step: 'reboot', operationId: 'op-1' }, signal);
  t.same(await driver.observe(signal), after, 'a repeat reboots nothing');
});

await underSystemd(
  'why no word of systemd is believed: systemd-run --wait, systemctl show, and the dollar',
  async (t, opened) => {
    const { systemd, share } = opened;
    await awaitUntil(async () => (await systemd.run('busctl', 'status')).code === 0, 60_000, 'its bus');
    const waiting = systemd.run('systemd-run', '--wait', '--quiet', '--unit=khumbu-waited', 'sleep', '1000');
    await awaitUntil(
      async () => (await systemd.run('systemctl', 'is-active', 'khumbu-waited')).code === 0,
      30_000,
      'the job',
    );
    await systemd.run('systemctl', 'stop', 'khumbu-waited');
    t.equal((await waiting).code, 0, 'a job that was stopped has succeeded');
    t.equal((await systemd.run('systemd-run', '--wait', '--quiet', '--collect', 'sh', '-c', 'exit 3')).code, 3);

    const shown = await systemd.run('systemctl', 'show', '-p', 'Result', '-p', 'LoadState', 'khumbu-nowhere.service');
    t.same([shown.code, shown.stdout], [0, 'Result=success\nLoadState=not-found\n'], 'so has a unit it does not know');

    const file = join(share, 'dollars');
    const words = ['--wait', '--quiet', '--collect', '--setenv=x=replaced', 'sh', '-c', `echo '\${x} $$' >${file}`];
    await systemd.run('systemd-run', ...words);
    t.equal((await readFile(file, 'utf8')).trim(), 'replaced $', 'it reads the words of a command');
  },
);

await underSystemd('a look before use', async (t, opened) => {
  const { charger, driver } = await station(t, opened);
  const check = await checkBy(driver(), signal);
  t.ok(isAllWell(check));
  const found = (subject: string, { findings }: DriverCheck) => findings.find((finding) => finding.subject === subject);
  t.match(found('supervision', check), { outcome: 'ok', text: /transient units/ });
  const { restart_everest: _restart, ...command } = charger.entry.command ?? { install: [], evidence: [] };
  for (const [unit, verdict, outcome] of [
    ['khumbu-sshd', 'can', 'ok'],
    ['no-such-unit', 'cannot', 'missing'],
  ] as const) {
    const restart = ['systemctl', 'restart', unit];
    const other = await station(t, opened, { command, restart_everest: restart });
    const seen = await checkBy(other.driver(), signal);
    t.match(found('unit', seen), { outcome, text: new RegExp(unit) });
    t.equal(seen.verbs.restart, verdict);
  }
  t.match(await effectUnits(opened), [], 'nothing was begun');
});
