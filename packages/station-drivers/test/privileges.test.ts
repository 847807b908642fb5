/** Least privilege: a user without rights, lines for sudo that sudo itself reads, and a key behind the gate of a forced command. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { awaitUntil } from '@khumbu/test-support/events';
import { startOrigin } from '@khumbu/test-support/origin';
import { hasRauc, startRauc } from '@khumbu/test-support/rauc';
import { hasSshd, overSsh, type Sshd, startSshd } from '@khumbu/test-support/sshd';
import t, { type Test } from 'tap';
import { awaitEffect } from '../src/await-effect.js';
import { checkBy } from '../src/check/check-by.js';
import { findingOfSudo } from '../src/check/commands.js';
import { isAllWell } from '../src/check/findings.js';
import { type ContractStation, driverContract } from '../src/contract/driver-contract.js';
import { bytesOf } from '../src/log-parts.js';
import type { DriverCheck, StationDriver } from '../src/port.js';
import { gateFor } from '../src/privileges/for-entry.js';
import { sudoersOf } from '../src/privileges/sudoers.js';
import { call } from '../src/station/call.js';
import { createRealDriver, stationParts } from '../src/station/real-driver.js';
import { plainText } from '../src/station-text.js';
import { createSshPool } from '../src/transports/ssh/ssh-transport.js';
import { runScript } from './scripts.js';
import { endProcessesOf, processesWith } from './stage.js';
import { makeStandIn, type StandIn } from './stand-in.js';
import { treeOf } from './tree.js';

const { signal } = new AbortController();
t.setTimeout(900_000);
const has = (program: string): boolean => spawnSync(program, ['-V'], { stdio: 'ignore' }).error === undefined;
const isRoot = process.getuid?.() === 0;
const only = { skip: isRoot && hasSshd() && has('sudo') ? false : 'there is no sudo or no sshd, or we are not root' };

interface Site {
  readonly dir: string;
  readonly user: string;
  readonly sshd: Sshd;
  /** Its lines in /etc/sudoers.d, once visudo has read them. */
  allow(lines: string): void;
  /** The options of our key in authorized_keys. */
  restrict(options: string): void;
  readonly login: Pick<RealDriverEntry, 'transport' | 'host' | 'port' | 'user' | 'state_dir'>;
}

let turn = 0;

/** A user of this machine without rights, who is reached by SSH; gone with the test. */
async function makeSite(t: Test): Promise<Site> {
  turn += 1;
  const user = `khumbu-t${process.pid}-${turn}`;
  const dir = mkdtempSync(join(tmpdir(), 'khumbu-priv-'));
  chmodSync(dir, 0o755);
  execFileSync('useradd', ['--system', '--shell', '/bin/sh', '--home-dir', dir, '-p', '*', user]);
  const sudoers = `/etc/sudoers.d/${user}`;
  const keys = join(dir, 'authorized_keys');
  const sshd = await startSshd({
    dir: join(dir, 'sshd'),
    config: [`AuthorizedKeysFile ${keys}`, `SetEnv HOME=${dir}`],
  });
  const restrict = (options: string): void =>
    writeFileSync(keys, `${options} ${readFileSync(`${sshd.privateKeyFile}.pub`, 'utf8')}`);
  restrict('restrict');
  const stateDir = join(dir, 'state');
  mkdirSync(stateDir, { mode: 0o700 });
  const uid = Number(execFileSync('id', ['-u', user]).toString('utf8'));
  chownSync(stateDir, uid, uid);
  t.teardown(async () => {
    await sshd.stop();
    rmSync(sudoers, { force: true });
    execFileSync('userdel', ['--force', user], { stdio: 'ignore' });
    rmSync(dir, { recursive: true, force: true });
  });
  endProcessesOf(t, dir);
  return {
    dir,
    user,
    sshd,
    allow(lines) {
      // As the docs say: read by visudo first.
      execFileSync('visudo', ['-cf', '-'], { input: lines });
      writeFileSync(sudoers, lines, { mode: 0o440 });
    },
    restrict,
    login: { ...overSsh(sshd), user, state_dir: stateDir },
  };
}

/** A stand-in whose programs need root, but those that only tell. */
async function makePrivileged(site: Site): Promise<{ charger: StandIn; entry: RealDriverEntry }> {
  const charger = await makeStandIn(join(site.dir, 'charger'));
  const { command } = charger.entry;
  if (!command) throw new Error('the stand-in has commands');
  const bySudo = (argv: readonly string[] = []): string[] => ['sudo', ...argv];
  const entry: RealDriverEntry = {
    ...charger.entry,
    ...site.login,
    command: {
      ...command,
      install: bySudo(command.install),
      reboot: bySudo(command.reboot as string[]),
      restart_everest: bySudo(command.restart_everest as string[]),
      set_clock: bySudo(command.set_clock),
      logs: bySudo(command.logs),
      network: bySudo(command.network),
    },
  };
  delete (entry.command as { slew_clock?: unknown }).slew_clock;
  return { charger, entry };
}

const driverOf = (t: Test, entry: RealDriverEntry): StationDriver => {
  const pool = createSshPool();
  t.teardown(() => pool.close());
  return createRealDriver('gate', entry, pool);
};

async function linesFor(dir: string, entry: RealDriverEntry): Promise<string> {
  const file = join(dir, 'stations.yml');
  writeFileSync(file, JSON.stringify({ stations: { gate: { driver: entry } } }));
  const { code, stdout, output } = await runScript('station-sudoers', ['--station', 'gate', '--file', file]);
  if (code !== 0) throw new Error(output);
  return stdout;
}

const refused = ({ findings }: DriverCheck): readonly string[] => [
  ...new Set(findings.filter(({ text }) => text.includes('sudo refuses')).flatMap(({ verbs }) => verbs)),
];

async function readLogs(driver: StationDriver, query: Parameters<StationDriver['openLogs']>[0]): Promise<string> {
  return text(bytesOf(...(await driver.openLogs(query, signal))));
}

await t.test('a user with these lines alone does what the entry says, and nothing else', only, async (t) => {
  const site = await makeSite(t);
  const { charger, entry } = await makePrivileged(site);
  const driver = driverOf(t, entry);
  const before = treeOf(charger.dir);
  const bare = await checkBy(driver, signal);
  t.same(refused(bare).toSorted(), ['install', 'logs', 'network', 'reboot', 'restart', 'set_clock']);
  t.match(bare.verbs, { install: 'cannot', observe: 'can', read_clock: 'can' });
  t.match(bare.findings.find(({ text }) => text.includes('sudo refuses'))?.remedy, /station-sudoers/);
  t.same(treeOf(charger.dir), before, 'asking sudo runs nothing');

  const lines = await linesFor(site.dir, entry);
  t.notMatch(lines, /[^\\]\*/, 'no wild cards');
  site.allow(lines);
  const check = await checkBy(driver, signal);
  t.ok(isAllWell(check), JSON.stringify(check.findings.filter(({ outcome }) => outcome !== 'ok')));

  await charger.let();
  const image = await charger.image('a');
  await driver.start({ step: 'install', operationId: 'op-1', image }, signal);
  const until = (): AbortSignal => AbortSignal.timeout(180_000);
  t.match(await awaitEffect(driver, 'op-1', 'install', until()), { state: 'succeeded' });
  for (const step of ['reboot', 'restart'] as const) {
    await charger.let();
    await driver.start({ step, operationId: 'op-1' }, signal);
    t.match(await awaitEffect(driver, 'op-1', step, until()), { state: 'succeeded' }, step);
  }
  t.match(await driver.observe(signal), { runningImageSha256: image.sha256, runningInstalledBy: 'op-1' });
  await driver.setClock(new Date(Date.UTC(2030, 0, 1)), signal);
  t.ok(Math.abs((await driver.readClock(signal)).getTime() - Date.UTC(2030, 0, 1)) < 60_000);
  t.match(await readLogs(driver, { type: 'SecurityLog' }), /SecurityLog 11/);
  const oldest = new Date(Date.UTC(2026, 0, 1, 0, 0, 5));
  t.notMatch(await readLogs(driver, { type: 'DiagnosticsLog', oldest }), /DiagnosticsLog 4\n/);
  await driver.configureNetwork({ interfaceName: 'eth0', vpn: { password: 'x' } }, signal);

  const pool = createSshPool();
  t.teardown(() => pool.close());
  const { transport } = stationParts(entry, pool);
  const bin = (name: string): string => join(charger.dir, 'bin', name);
  const path = `${site.login.state_dir}/images/${'0'.repeat(64)}`;
  const others = [
    ['sh', '-c', 'id'],
    [bin('install'), '/etc/shadow', '0'.repeat(64), 'op-1'],
    [bin('install'), path, '0'.repeat(64), 'op-1', '--more'],
    [bin('install'), `${path}/../../../x`, '0'.repeat(64), 'op-1'],
    [bin('install'), path, '0'.repeat(64), 'op-1\nop-2'],
    [bin('set-clock'), '@1.000 x'],
    [bin('logs'), '../secret', '', ''],
    [bin('reboot')],
    [bin('evidence')],
  ];
  for (const argv of others) {
    const { code, stderr } = await call(transport, ['sudo', '-n', ...argv], { signal, timeoutMs: 30_000 });
    t.equal(code, 1, `${argv.join(' ')}: ${stderr}`);
    t.match(stderr, /password is required|not allowed/, argv.join(' '));
  }
});

await t.test('what runs as root is ended by sudo when its time is over', only, async (t) => {
  const site = await makeSite(t);
  const { charger, entry } = await makePrivileged(site);
  const short: RealDriverEntry = { ...entry, limits: { ...entry.limits, restart_s: 3 } };
  site.allow(await linesFor(site.dir, short));
  const driver = driverOf(t, short);
  await driver.start({ step: 'restart', operationId: 'op-1' }, signal);
  const end = await awaitEffect(driver, 'op-1', 'restart', AbortSignal.timeout(180_000));
  t.match(end, { state: 'failed', message: /not done in 3 s/ });
  const program = join(charger.dir, 'bin', 'restart');
  await awaitUntil(() => processesWith(program).length === 0, 30_000, 'the restart to end');
});

await t.test('RAUC by sudo', { skip: only.skip || (hasRauc() ? false : 'there is no RAUC') }, async (t) => {
  const site = await makeSite(t);
  const rauc = await startRauc();
  t.teardown(() => rauc.stop());
  chmodSync(rauc.dir, 0o755);
  const wrapper = join(rauc.dir, 'rauc-client');
  writeFileSync(wrapper, `#!/bin/sh\nexec ${rauc.program.map((word) => `'${word}'`).join(' ')} "$@"\n`, {
    mode: 0o755,
  });
  const entry: RealDriverEntry = {
    ...site.login,
    profile: 'rauc',
    boot_id: ['cat', rauc.bootIdFile],
    rauc: { program: ['sudo', wrapper] },
    reboot: ['sudo', ...rauc.reboot],
    restart_everest: ['sudo', 'systemctl', 'restart', 'everest'],
    limits: { install_s: 240, reboot_s: 120, command_s: 120 },
  };
  const driver = driverOf(t, entry);
  t.match((await checkBy(driver, signal)).verbs, { install: 'cannot', observe: 'cannot' });
  const lines = await linesFor(site.dir, entry);
  t.match(lines, /NOPASSWD: \/\S*\/systemctl restart everest$/m, 'found at the station');
  site.allow(lines);
  t.match((await checkBy(driver, signal)).verbs, { install: 'can', observe: 'can', reboot: 'can' });
  const image = await rauc.bundle('op-1');
  await rauc.let();
  await driver.start({ step: 'install', operationId: 'op-1', image }, signal);
  t.match(await awaitEffect(driver, 'op-1', 'install', AbortSignal.timeout(180_000)), { state: 'succeeded' });
  await driver.start({ step: 'reboot', operationId: 'op-1' }, signal);
  await awaitEffect(driver, 'op-1', 'reboot', AbortSignal.timeout(180_000));
  const seen = await awaitUntil(() => driver.observe(signal).catch(() => undefined), 60_000, 'RAUC to answer');
  t.match(seen, { runningInstalledBy: 'op-1', slot: 'rootfs.1' });
  // A handler that fails after the switch: the slot from before is put back, which needs sudo as well.
  await rauc.set('post-fails', '3');
  await rauc.let();
  await driver.start({ step: 'install', operationId: 'op-2', image: await rauc.bundle('op-2') }, signal);
  t.match(await awaitEffect(driver, 'op-2', 'install', AbortSignal.timeout(180_000)), { state: 'failed' });
  t.equal(await rauc.primary(), 'B');
});

await t.test('a sudo that is too old for these lines', async (t) => {
  const commands = [{ verb: 'reboot', argv: ['sudo', 'reboot'] }] as const;
  t.match(findingOfSudo(commands, '1.9.5p2', plainText), { outcome: 'warning', subject: 'sudo', verbs: ['reboot'] });
  t.equal(findingOfSudo(commands, '1.9.13p3', plainText), undefined);
  t.equal(findingOfSudo([{ verb: 'reboot', argv: ['reboot'] }], '1.8.0', plainText), undefined);
});

await t.test('odd words in lines for sudo', { skip: has('visudo') ? false : 'there is no visudo' }, async (t) => {
  const commands = [
    { verb: 'reboot', argv: ['sudo', '-n', '--', '/opt/a b/re,boot', 'x=1', 'a b', '#5', '(.*)', '\\', '"'] },
    { verb: 'restart', argv: ['sudo', 'restart'] },
    { verb: 'observe', argv: ['evidence'] },
  ] as const;
  const options = { station: 'gate', user: 'khumbu', stateDir: '/var/lib/khumbu.x', commands, limitOf: () => 60 };
  const lines = sudoersOf({ ...options, pathOf: () => '/usr/bin/restart' });
  execFileSync('visudo', ['-cf', '-'], { input: lines });
  t.match(lines, /\/usr\/bin\/restart ""$/m, 'no arguments at all');
  t.notMatch(lines, /evidence/);
  t.throws(() => sudoersOf({ ...options, pathOf: () => undefined }), { code: 'PROGRAM_UNKNOWN' });
  const asUser = [{ verb: 'reboot', argv: ['sudo', '-u', 'x', 'y'] }] as const;
  t.throws(() => sudoersOf({ ...options, commands: asUser, pathOf: () => undefined }), { code: 'SUDO_OPTION' });
});

/** The gate of an entry, where authorized_keys of the site names it. */
function closeGate(site: Site, entry: RealDriverEntry): void {
  const gate = join(site.dir, 'khumbu-gate');
  writeFileSync(gate, gateFor('gate', entry), { mode: 0o755 });
  site.restrict(`restrict,command="${gate}"`);
}

await t.test('the contract of drivers, through the gate of a forced command', only, async (t) => {
  const site = await makeSite(t);
  let chargers = 0;
  const contractStation = async (t: Test): Promise<ContractStation> => {
    chargers += 1;
    const charger = await makeStandIn(join(site.dir, `charger-${chargers}`));
    endProcessesOf(t, charger.dir);
    const entry: RealDriverEntry = {
      ...charger.entry,
      ...site.login,
      user: 'root',
      state_dir: join(charger.dir, 'state'),
    };
    closeGate(site, entry);
    const driver = (): StationDriver => driverOf(t, entry);
    return {
      driver,
      image: (name) => charger.image(name),
      async finish() {
        await charger.let();
        await awaitUntil(async () => !(await driver().observe(signal)).busy, 20_000, 'the effect to end');
      },
      interfaceName: 'eth0',
    };
  };
  await driverContract(t, contractStation);
});

await t.test('an image that a charger fetches by sudo, through the gate', only, async (t) => {
  const site = await makeSite(t);
  const { charger, entry: bringing } = await makePrivileged(site);
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  origin.serve('/livez', Buffer.from('{}'));
  const { url: depot_url } = origin;
  const install = ['sudo', join(charger.dir, 'bin', 'pull'), '{url}', '{sha256}', '{operation}'];
  const { command } = bringing;
  if (!command) throw new Error('the stand-in has commands');
  const entry: RealDriverEntry = { ...bringing, depot_url, command: { ...command, install } };
  site.allow(await linesFor(site.dir, entry));
  closeGate(site, entry);
  const driver = driverOf(t, entry);
  t.ok(isAllWell(await checkBy(driver, signal)), 'a look');
  const image = await charger.image('an image');
  const path = `/v1/firmware-artifacts/${image.sha256}/content`;
  origin.serve(path, Buffer.from('an image'));
  const contentPath = async (): Promise<string> => `${path}?expires=1767225600&signature=${'-sign_'.padEnd(43, 'x')}`;
  await charger.let();
  await driver.start({ step: 'install', operationId: 'op-1', image: { ...image, contentPath } }, signal);
  t.match(await awaitEffect(driver, 'op-1', 'install', AbortSignal.timeout(180_000)), { state: 'succeeded' });

  const elsewhere = async (): Promise<string> => `/v1/firmware-artifacts/${image.sha256}/content/../../x`;
  const other = { step: 'install', operationId: 'op-2', image: { ...image, contentPath: elsewhere } } as const;
  await t.rejects(driver.start(other, signal), { code: 'STATION_UNREACHABLE', message: /station-gate/ });
});

await t.test('what the gate lets through, and what it does not', only, async (t) => {
  const site = await makeSite(t);
  const { charger, entry } = await makePrivileged(site);
  site.allow(await linesFor(site.dir, entry));
  closeGate(site, entry);
  const driver = driverOf(t, entry);
  t.ok(isAllWell(await checkBy(driver, signal)), 'a look');
  t.match(await driver.observe(signal), { healthy: true });
  await charger.let();
  await driver.start({ step: 'install', operationId: 'op-1', image: await charger.image('a') }, signal);
  t.match(await awaitEffect(driver, 'op-1', 'install', AbortSignal.timeout(180_000)), { state: 'succeeded' });

  const pool = createSshPool();
  t.teardown(() => pool.close());
  const { transport, program, profile } = stationParts(entry, pool);
  const [put = []] = program.puts;
  const others = [
    ['id'],
    ['/bin/sh', '-c', 'id'],
    ['true', ';', 'id'],
    ['true\nid'],
    program.argvOf('run', ['n-1', '20', 'id']),
    program.argvOf('run', ['n-1', '20', ...profile.readClock(), 'more']),
    program.argvOf('observe', ['n-1', '20', 'id']),
    program.argvOf('put', ['../../authorized_keys', '10', '0']),
    program.argvOf('retire', ['../x']),
    [...put.slice(0, -1), '0'.repeat(64)],
    [...put.slice(0, -2), 'other.sh', ...put.slice(-1)],
  ];
  for (const argv of others) {
    const { code, stderr } = await call(transport, argv, { signal, timeoutMs: 30_000 });
    t.match({ code, stderr }, { code: 126, stderr: /khumbu-gate: refused/ }, argv.join(' ').slice(0, 80));
  }
  // As after an update of Khumbu, or a change of the entry, that the gate does not know.
  const changed = driverOf(t, { ...entry, read_clock: ['date', '+%s'], state_dir: `${site.login.state_dir}/other` });
  t.match((await checkBy(changed, signal)).findings, [{ subject: 'gate', remedy: /station-gate/ }]);
  await t.rejects(changed.observe(signal), { code: 'STATION_UNREACHABLE', message: /station-gate/ });
  const { privateKeyFile: key, knownHostsFile: known, port } = site.sshd;
  const options = ['-i', key, '-p', String(port), '-o', 'BatchMode=yes', '-o', `UserKnownHostsFile=${known}`];
  const ssh = (...args: readonly string[]) => spawnSync('ssh', [...options, ...args], { input: '' });
  const name = `${site.user}@127.0.0.1`;
  t.equal(ssh(name).status, 126, 'no shell');
  t.not(ssh('-s', name, 'sftp').status, 0, 'no sftp');
  t.not(ssh('-W', '127.0.0.1:22', name).status, 0, 'no forwarding');
});
