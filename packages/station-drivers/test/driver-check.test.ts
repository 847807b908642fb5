/** A station is looked at before it is used: what could be done, what is missing, and nothing is changed. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closeNow, listen } from '@khumbu/shared/runtime/listening';
import { parseStationsFile, profileFrom, requireProfile } from '@khumbu/shared/stations/stations-file';
import { awaitUntil } from '@khumbu/test-support/events';
import { mountSmallDisk } from '@khumbu/test-support/small-disk';
import { hasSshd } from '@khumbu/test-support/sshd';
import t, { type Test } from 'tap';
import { awaitEffect } from '../src/await-effect.js';
import { checkBy } from '../src/check/check-by.js';
import { describeCheck } from '../src/check/describe-check.js';
import { isAllWell } from '../src/check/findings.js';
import { createDriver } from '../src/create-driver.js';
import type { CheckFinding, DriverCheck, StationDriver } from '../src/port.js';
import { type Stage, setStage } from './stage.js';
import { treeOf } from './tree.js';

const { signal } = new AbortController();
t.setTimeout(900_000);
const only = { skip: hasSshd() ? false : 'there is no sshd' };

const EVERYTHING = {
  observe: 'can',
  install: 'can',
  reboot: 'can',
  restart: 'can',
  read_clock: 'can',
  set_clock: 'can',
  logs: 'can',
  network: 'can',
} as const;

const find = ({ findings }: DriverCheck, subject: string): CheckFinding | undefined =>
  findings.find((finding) => finding.subject === subject && finding.outcome !== 'ok') ??
  findings.find((finding) => finding.subject === subject);

/** Look, and see to it that the station is as it was. */
async function look(t: Test, { charger }: Stage, driver: StationDriver): Promise<DriverCheck> {
  const before = treeOf(charger.dir);
  const check = await checkBy(driver, signal);
  t.same(treeOf(charger.dir), before, 'nothing at the station is another one');
  return check;
}

await t.test('a station that nobody has used yet, and one that was', only, async (t) => {
  const stage = await setStage(t);
  for (const driver of [stage.driver(), stage.driver({ transport: 'local' })]) {
    const check = await look(t, stage, driver);
    t.same(check.verbs, EVERYTHING);
    t.ok(isAllWell(check));
    t.match(find(check, 'state_dir'), { outcome: 'ok', text: /will be made/ });
    t.ok((check.freeBytes ?? 0) > 0);
    t.ok(Math.abs(check.clockOffsetMs ?? 1e9) < 20_000, `clock ${check.clockOffsetMs}`);
    t.ok((check.latencyMs ?? -1) >= 0);
  }
  const driver = stage.driver();
  await stage.charger.let();
  await driver.start({ step: 'install', operationId: 'op-1', image: await stage.charger.image('a') }, signal);
  await awaitEffect(driver, 'op-1', 'install', AbortSignal.timeout(180_000));
  const evidence = await driver.observe(signal);
  const check = await look(t, stage, driver);
  t.same(check.verbs, EVERYTHING);
  t.match(find(check, 'state_dir'), { outcome: 'ok', text: /can be written/ });
  t.same(await driver.observe(signal), evidence, 'its effects are what they were');
});

await t.test('whether it reaches the depot that it fetches images from', only, async (t) => {
  const stage = await setStage(t);
  const server = createServer((request, response) => response.writeHead(request.url === '/livez' ? 200 : 404).end());
  const depotUrl = `http://127.0.0.1:${await listen(server, 0)}`;
  const driver = stage.driver({}, { ...stage.entry, ...stage.charger.pulling(depotUrl) });
  const check = await look(t, stage, driver);
  t.same(check.verbs, EVERYTHING);
  t.match(find(check, 'depot_url'), { outcome: 'ok', text: depotUrl });
  await closeNow(server);
  const away = await look(t, stage, driver);
  t.match(away.verbs, { ...EVERYTHING, install: 'cannot' });
  t.match(find(away, 'depot_url'), { outcome: 'missing', verbs: ['install'], remedy: /depot_url/ });
});

await t.test('an effect that is under way', only, async (t) => {
  const stage = await setStage(t);
  const driver = stage.driver();
  await driver.start({ step: 'restart', operationId: 'op-1' }, signal);
  await awaitUntil(async () => (await stage.charger.log()).length > 0, 20_000, 'the restart to begin');
  const check = await look(t, stage, driver);
  t.match(find(check, 'effect'), { outcome: 'warning', text: 'op-1.restart is under way' });
  await stage.charger.let();
  await awaitEffect(driver, 'op-1', 'restart', AbortSignal.timeout(180_000));
  t.match(find(await look(t, stage, driver), 'effect'), { outcome: 'ok' });
});

await t.test('what is missing, with the verbs that miss it', only, async (t) => {
  const stage = await setStage(t);
  const { charger } = stage;
  const bin = (name: string): string => join(charger.dir, 'bin', name);
  rmSync(bin('logs'));
  chmodSync(bin('reboot'), 0o644);
  writeFileSync(bin('evidence'), '#!/bin/sh\necho "no slot\u0007 is known" >&2\nexit 3\n');
  writeFileSync(bin('clock'), '#!/bin/sh\necho yesterday\n');
  const check = await look(t, stage, stage.driver({ boot_id: ['true'] }));
  t.match(check.verbs, {
    observe: 'cannot',
    install: 'cannot',
    reboot: 'cannot',
    restart: 'cannot',
    read_clock: 'cannot',
    set_clock: 'can',
    logs: 'cannot',
    network: 'can',
  });
  t.notOk(isAllWell(check));
  t.match(find(check, 'evidence'), { outcome: 'missing', text: /no slot +is known/ });
  t.match(find(check, 'boot_id'), { outcome: 'missing', remedy: /boot_id/ });
  t.match(find(check, 'clock'), { outcome: 'missing', verbs: ['read_clock'] });
  const commands = check.findings.filter(({ subject, outcome }) => subject === 'command' && outcome === 'missing');
  t.match(commands, [
    { text: /bin\/logs .* not there/, verbs: ['logs'], remedy: /install it/ },
    { text: /bin\/reboot .* cannot be run/, verbs: ['reboot'], remedy: /executable/ },
  ]);
  const text = describeCheck('gate', check);
  t.match(text, /^ {2}reboot +CANNOT$/m);
  t.match(text, /-> make it executable/);
});

await t.test('a clock that is wrong, evidence without end, one that hangs', only, async (t) => {
  const stage = await setStage(t);
  const { charger } = stage;
  await charger.set('offset', '-86400');
  const late = await look(t, stage, stage.driver());
  t.match(find(late, 'clock'), { outcome: 'warning', remedy: /before an update/ });
  t.ok(Math.abs((late.clockOffsetMs ?? 0) + 86_400_000) < 20_000, `${late.clockOffsetMs}`);
  const evidence = join(charger.dir, 'bin', 'evidence');
  writeFileSync(evidence, '#!/bin/sh\nyes flood\n');
  t.match(find(await look(t, stage, stage.driver()), 'evidence'), { outcome: 'missing', text: /prints too much/ });
  writeFileSync(evidence, '#!/bin/sh\nsleep 300\n');
  t.match(find(await look(t, stage, stage.driver()), 'evidence'), { outcome: 'missing' });
});

await t.test('a verb without a command, and a network that nobody prepares', only, async (t) => {
  const stage = await setStage(t);
  const { logs: _logs, network: _network, ...command } = stage.entry.command ?? { install: [''], evidence: [''] };
  const check = await look(t, stage, stage.driver({ command }));
  t.match(check.verbs, { logs: 'not_supported', network: 'not_supported', install: 'can' });
  t.ok(isAllWell(check));
});

await t.test('a full disk, and a folder of a newer Khumbu', only, async (t) => {
  const stage = await setStage(t);
  const disk = await mountSmallDisk(t, mkdtempSync(join(tmpdir(), 'khumbu-disk-')), 600 * 1024);
  if (!disk) throw new Error('no file system can be mounted here');
  const full = await look(t, stage, stage.driver({ state_dir: join(disk.path, 'state') }));
  t.match(find(full, 'space'), { outcome: 'missing' });
  t.match(full.verbs, { install: 'cannot', reboot: 'cannot' });
  await stage.driver().observe(signal);
  writeFileSync(join(stage.charger.dir, 'state', 'layout'), '2\n');
  const newer = await look(t, stage, stage.driver());
  t.match(find(newer, 'state_layout'), { outcome: 'missing', text: /newer Khumbu/ });
});

await t.test('how far the way to the station goes', only, async (t) => {
  const stage = await setStage(t);
  const { sshd, entry } = stage;
  const dir = join(stage.charger.dir, '..');
  writeFileSync(join(dir, 'empty'), '');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, 'other')]);
  const otherHost = readFileSync(join(dir, 'other.pub'), 'utf8');
  writeFileSync(join(dir, 'wrong'), `[127.0.0.1]:${sshd.port} ${otherHost}`);
  const ways = [
    [{ known_hosts_file: join(dir, 'empty') }, 'pinned_key', /station-trust/],
    [{ known_hosts_file: join(dir, 'none') }, 'pinned_key', /station-trust/],
    [{ private_key_file: join(dir, 'none') }, 'our_key', /private_key_file/],
    [{ known_hosts_file: join(dir, 'wrong') }, 'host_key', /another one/],
    [{ private_key_file: join(dir, 'other') }, 'login', /authorized_keys/],
  ] as const;
  for (const [change, subject, remedy] of ways) {
    const check = await look(t, stage, stage.driver({ ...entry, ...change }));
    t.match(check.findings, [{ subject, outcome: 'missing', remedy }], subject);
    t.ok(Object.values(check.verbs).every((verdict) => verdict === 'cannot'));
  }
  await sshd.stop();
  const gone = await look(t, stage, stage.driver());
  t.match(gone.findings, [{ subject: 'network', remedy: /whether it is on/ }]);
});

await t.test('a login shell that runs nothing', only, async (t) => {
  const stage = await setStage(t, { config: ['ForceCommand /bin/echo go away'] });
  const check = await look(t, stage, stage.driver());
  t.match(check.findings, [{ outcome: 'missing' }]);
  t.match(check.verbs, { install: 'cannot' });
});

await t.test('simulated, and drivers of somebody else', async (t) => {
  const file = parseStationsFile(
    JSON.stringify({ stations: { 'cs-1': { driver: 'simulated', simulated: { reboot_ms: 60_000 } } } }),
  );
  const profile = requireProfile(profileFrom(file, 'cs-1'));
  const dataDir = t.testdir({});
  const driver = createDriver(profile, { dataDir, redactionKey: undefined });
  const empty = treeOf(dataDir);
  t.match((await checkBy(driver, signal)).verbs, { install: 'can', network: 'not_supported' });
  t.same(treeOf(dataDir), empty);
  await driver.start({ step: 'reboot', operationId: 'op-1' }, signal);
  const before = treeOf(dataDir);
  t.match((await checkBy(driver, signal)).verbs, { install: 'cannot' }, 'it boots');
  t.same(treeOf(dataDir), before);

  const maker = join(dataDir, 'maker.mjs');
  writeFileSync(maker, 'export const createStationDriver = (station) => ({ station, capabilities: {} });');
  const packaged = createDriver({ ...profile, driverEntry: { package: maker } }, { dataDir, redactionKey: undefined });
  const check = await checkBy(packaged, signal);
  t.match(check.findings, [{ subject: 'check', outcome: 'unknown' }]);
  t.match(check.verbs, { install: 'unknown' });
  t.notOk(isAllWell(check));
});
