/** Profile `rauc`, looked at before use, with a real RAUC; and `npm run driver-check` as people run it. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { awaitUntil } from '@khumbu/test-support/events';
import { hasRauc, type RaucStation, startRauc } from '@khumbu/test-support/rauc';
import t, { type Test } from 'tap';
import { awaitEffect } from '../src/await-effect.js';
import { checkBy } from '../src/check/check-by.js';
import { compareVersions, defectsOf } from '../src/check/known-defects.js';
import type { DriverCheck } from '../src/port.js';
import { createRealDriver } from '../src/station/real-driver.js';
import { createSshPool } from '../src/transports/ssh/ssh-transport.js';
import { raucEntry } from './rauc-entry.js';
import { runScript } from './scripts.js';
import { treeOf } from './tree.js';

const { signal } = new AbortController();
t.setTimeout(900_000);
const only = { skip: hasRauc() ? false : 'there is no RAUC, or we are not root' };
const run = promisify(execFile);

const entryOf = (rauc: RaucStation): RealDriverEntry => ({ ...raucEntry(rauc), read_clock: ['date', '+%s'] });

const driverOf = (entry: RealDriverEntry) => createRealDriver('gate', entry, createSshPool());

async function setUp(t: Test): Promise<RaucStation> {
  const rauc = await startRauc();
  t.teardown(() => rauc.stop());
  return rauc;
}

/** What its service writes down of being asked is not ours. */
const isOfService = (path: string): boolean => path === 'service.log';

async function look(t: Test, rauc: RaucStation, change: Partial<RealDriverEntry> = {}): Promise<DriverCheck> {
  const before = treeOf(rauc.dir, isOfService);
  const check = await checkBy(driverOf({ ...entryOf(rauc), ...change }), signal);
  t.same(treeOf(rauc.dir, isOfService), before, 'nothing at the station is another one');
  return check;
}

const find = ({ findings }: DriverCheck, subject: string) => findings.find((finding) => finding.subject === subject);

await t.test('all is there; an older version has its defects named', only, async (t) => {
  const rauc = await setUp(t);
  const check = await look(t, rauc);
  t.match(check.verbs, { install: 'can', observe: 'can', reboot: 'can', network: 'not_supported' });
  t.match(find(check, 'rauc_version'), { outcome: 'ok', text: /^RAUC 1\./ });
  t.match(find(check, 'rauc_booted'), { outcome: 'ok', text: /rootfs\.0 \(A\)/ });
  t.match(find(check, 'rauc_slots')?.text.split(', ').sort(), ['rootfs.0', 'rootfs.1']);
  t.match(find(check, 'rauc_keyring'), { outcome: 'ok', text: /1 valid now/ });
  const version = find(check, 'rauc_version')?.text.slice('RAUC '.length) ?? '';
  const told = check.findings.filter(({ subject }) => subject === 'rauc_defect');
  t.equal(told.length, defectsOf('rauc', version).length);
});

await t.test('versions are compared by their numbers', async (t) => {
  const sorted = ['1.8', '1.10', '1.11', '1.15.1', '1.15.2', '1.15.2.1', '2'];
  t.same([...sorted].reverse().sort(compareVersions), sorted);
  t.equal(compareVersions('1.15.2-dirty', '1.15.2'), 0);
  t.match(
    defectsOf('rauc', '1.15.1').map(({ source }) => source),
    ['CVE-2026-34155'],
  );
  t.same(defectsOf('rauc', '1.15.2'), []);
});

await t.test('an installation of somebody else, and of our own', only, async (t) => {
  const rauc = await setUp(t);
  const bundle = await rauc.bundle('other');
  const [program = '', ...args] = rauc.program;
  const other = run(program, [...args, 'install', bundle.path]);
  await awaitUntil(() => readFileSync(join(rauc.dir, 'service.log'), 'utf8').includes('other'), 60_000, 'it to begin');
  const ask = () => checkBy(driverOf(entryOf(rauc)), signal);
  const check = await awaitUntil(
    async () => [await ask()].find((seen) => find(seen, 'rauc_busy')),
    60_000,
    'it to be seen',
  );
  t.match(find(check, 'rauc_busy'), { outcome: 'warning', text: /something else/ });
  t.match(check.verbs, { install: 'can' }, 'which is waited for');
  await rauc.let();
  await other;
  const driver = driverOf(entryOf(rauc));
  const image = await rauc.bundle('op-1');
  await driver.start({ step: 'install', operationId: 'op-1', image }, signal);
  await rauc.let();
  await awaitEffect(driver, 'op-1', 'install', AbortSignal.timeout(180_000));
  const evidence = await driver.observe(signal);
  await look(t, rauc);
  t.same(await driver.observe(signal), evidence);
});

await t.test('no service, no slots, a keyring that is over, a bootloader that tells nothing', only, async (t) => {
  const rauc = await setUp(t);
  await rauc.killService(true);
  const gone = await look(t, rauc);
  t.match(gone.verbs, { install: 'cannot', observe: 'cannot', reboot: 'can' });
  t.match(find(gone, 'rauc_service'), { outcome: 'missing', remedy: /systemctl status rauc/ });
  t.match(find(gone, 'rauc_version'), { outcome: 'ok' }, 'its client is there');
  await rauc.startService();

  const conf = join(rauc.dir, 'old.conf');
  writeFileSync(conf, `[system]\ncompatible=x\n[keyring]\npath=old.pem\n`);
  const dates = ['-not_before', '20200101000000Z', '-not_after', '20200102000000Z'];
  const subject = ['-subj', '/CN=long over', '-keyout', '/dev/null', '-nodes', '-newkey', 'rsa:2048'];
  const made = await run('openssl', ['req', '-x509', ...subject, ...dates]).catch(() => undefined);
  if (made) {
    writeFileSync(join(rauc.dir, 'old.pem'), made.stdout);
    const old = await look(t, rauc, { rauc: { program: [...rauc.program.slice(0, -1), `--conf=${conf}`] } });
    t.match(find(old, 'rauc_keyring'), { outcome: 'missing', text: /long over until 2020-01-02/ });
  }
  writeFileSync(join(rauc.dir, 'old.pem'), 'no certificate');
  const none = await look(t, rauc, { rauc: { program: [...rauc.program.slice(0, -1), `--conf=${conf}`] } });
  t.match(find(none, 'rauc_keyring'), { outcome: 'warning' });

  const without = await look(t, rauc, { rauc: { program: ['/nowhere/rauc'] } });
  t.match(without.verbs, { install: 'cannot', observe: 'cannot' });
  t.match(
    without.findings.filter(({ outcome }) => outcome === 'missing').map(({ subject }) => subject),
    /command/,
  );
});

await t.test('npm run driver-check', only, async (t) => {
  const rauc = await setUp(t);
  const file = join(rauc.dir, 'stations.yml');
  const write = (entry: RealDriverEntry): void =>
    writeFileSync(file, JSON.stringify({ stations: { 'gate-5': { driver: entry } } }));
  const check = (...args: readonly string[]) => runScript('driver-check', args);
  write(entryOf(rauc));
  const well = await check('--station', 'gate-5', '--file', file);
  t.match(well, { code: 0, stdout: /gate-5 \(local\/rauc\)[\s\S]*^ {2}install +can$/m }, well.output);
  write({ ...entryOf(rauc), reboot: ['/nowhere/reboot'] });
  const bad = await check('--station', 'gate-5', '--file', file, '--json');
  t.equal(bad.code, 1);
  t.match(JSON.parse(bad.stdout), { station: 'gate-5', verbs: { reboot: 'cannot', install: 'can' } });
  for (const wrong of [
    [],
    ['--station', 'gate-5'],
    ['--station', 'gate-6', '--file', file],
    ['--station', 'gate-5', '--file', join(rauc.dir, 'none')],
    ['--nonsense'],
    ['--station', 'gate-5', '--file', file, '--timeout', 'x'],
  ])
    t.match(await check(...wrong), { code: 2, stdout: '' }, wrong.join(' '));
});
