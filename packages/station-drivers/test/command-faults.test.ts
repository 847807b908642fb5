/** What goes wrong at a station, seen through profile `command` on this host. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasCode } from '@khumbu/shared/runtime/errors';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { awaitUntil } from '@khumbu/test-support/events';
import { mountSmallDisk } from '@khumbu/test-support/small-disk';
import t, { type Test } from 'tap';
import { awaitEffect } from '../src/await-effect.js';
import type { Effect, StationDriver } from '../src/port.js';
import { createRealDriver } from '../src/station/real-driver.js';
import { createSshPool } from '../src/transports/ssh/ssh-transport.js';
import { endProcessesOf, processesWith } from './stage.js';
import { makeStandIn, type StandIn } from './stand-in.js';

const { signal } = new AbortController();
const PATIENCE_MS = 180_000;
const PROGRAM = fileURLToPath(new URL('../../station/khumbu-station.sh', import.meta.url));
t.setTimeout(900_000);

type Change = Partial<RealDriverEntry> & { readonly verbs?: Partial<NonNullable<RealDriverEntry['command']>> };

async function setUp(t: Test): Promise<{ charger: StandIn; driver: (change?: Change) => StationDriver }> {
  const charger = await makeStandIn(join(t.testdir({}), 'charger'));
  endProcessesOf(t, charger.dir);
  return {
    charger,
    driver: ({ verbs, ...change } = {}) => {
      const { command } = charger.entry;
      if (!command) throw new Error('the stand-in has commands');
      const entry = { ...charger.entry, transport: 'local', ...change, command: { ...command, ...verbs } } as const;
      return createRealDriver('gate', entry, createSshPool());
    },
  };
}

const install = async (charger: StandIn, operationId = 'op-1'): Promise<Effect> => ({
  step: 'install',
  operationId,
  image: await charger.image(operationId),
});

const end = (driver: StationDriver, operationId = 'op-1', step: Effect['step'] = 'install') =>
  awaitEffect(driver, operationId, step, AbortSignal.timeout(PATIENCE_MS));

await t.test('how an install ends', async (t) => {
  const { charger, driver } = await setUp(t);
  const cases = [
    ['65', { state: 'failed', code: 'verification_failed', message: 'the slot is broken' }],
    ['1', { state: 'failed', code: 'failed', message: 'the slot is broken' }],
  ] as const;
  for (const [code, expected] of cases) {
    await charger.set('fail', code);
    await charger.let();
    await driver().start(await install(charger, `op-${code}`), signal);
    t.match(await end(driver(), `op-${code}`), expected, code);
  }
  await charger.unset('fail');
  await charger.set('no-reboot');
  await charger.let();
  const effect = await install(charger, 'op-0');
  await driver().start(effect, signal);
  t.same(await end(driver(), 'op-0'), { state: 'succeeded', rebootNeeded: false });
  t.match(await driver().observe(signal), { runningInstalledBy: 'op-0' }, 'it runs at once');
});

await t.test('busy is waited for, until its time is over or it is given up', async (t) => {
  const { charger, driver } = await setUp(t);
  await charger.set('fail', '75');
  await charger.let();
  await driver().start(await install(charger), signal);
  await awaitUntil(async () => !(await stat(join(charger.dir, 'go')).catch(() => undefined)), PATIENCE_MS, 'one try');
  t.match(await driver().observeEffect('op-1', 'install', signal), { state: 'running' });
  await charger.unset('fail');
  await charger.let();
  t.same(await end(driver()), { state: 'succeeded', rebootNeeded: true });
  t.same(await charger.log(), ['install op-1', 'install op-1']);

  await charger.set('fail', '75');
  const late = driver({ limits: { install_s: 1 } });
  await charger.let();
  await late.start(await install(charger, 'op-2'), signal);
  t.match(await end(late, 'op-2'), { state: 'failed', code: 'failed' });

  await driver().start(await install(charger, 'op-3'), signal);
  await driver().retire('op-3', signal);
  await charger.let();
  t.match(await end(driver(), 'op-3'), { state: 'failed', message: 'the slot is broken' });
});

await t.test('a state folder that was lost is made again', async (t) => {
  const { charger, driver } = await setUp(t);
  const before = await driver().observe(signal);
  await rm(join(charger.dir, 'state'), { recursive: true });
  t.same(await driver().observe(signal), before);
  t.same(await driver().observeEffect('op-1', 'install', signal), { state: 'absent' });
});

await t.test('what is not done in time is ended there', async (t) => {
  const { charger, driver } = await setUp(t);
  const slow = driver({ limits: { install_s: 1 } });
  await slow.start(await install(charger), signal);
  t.match(await end(slow), { state: 'failed', message: /^it was not done in 1 s/ });
  t.same(processesWith(`${charger.dir}/bin/install`), []);
  t.match(await driver().observe(signal), { busy: false });
});

await t.test('a reboot is proved by a new boot alone', async (t) => {
  const { charger, driver } = await setUp(t);
  const refused = driver({ reboot: ['sh', '-c', 'echo not permitted >&2; exit 1'] });
  await refused.start({ step: 'reboot', operationId: 'op-1' }, signal);
  t.match(await refused.observeEffect('op-1', 'reboot', signal), { state: 'running' }, 'it may yet be going down');
  await writeFile(join(charger.dir, 'boot'), 'boot-2\n');
  t.same(await refused.observeEffect('op-1', 'reboot', signal), { state: 'succeeded' });

  const idle = driver({ reboot: ['true'], limits: { reboot_s: 2 } });
  await idle.start({ step: 'reboot', operationId: 'op-2' }, signal);
  t.match(await end(idle, 'op-2', 'reboot'), { state: 'succeeded' }, 'the command said so and nothing booted');
});

for (const isSilent of [false, true])
  await t.test(`a slot that did not come up, told by slot${isSilent ? ' alone' : ' and image'}`, async (t) => {
    const { charger, driver } = await setUp(t);
    if (isSilent) await charger.set('silent');
    await charger.set('falls-back');
    await charger.let();
    await driver().start(await install(charger), signal);
    await end(driver());
    await charger.let();
    await driver().start({ step: 'reboot', operationId: 'op-1' }, signal);
    await end(driver(), 'op-1', 'reboot');
    t.notOk('runningInstalledBy' in (await driver().observe(signal)));
  });

await t.test('floods', async (t) => {
  const { charger, driver } = await setUp(t);
  const flood =
    'i=0; while [ $i -lt 20000 ]; do echo "{\\"message\\": \\"$i\\"}"; echo "error $i" >&2; i=$((i + 1)); done; exit 3';
  const noisy = driver({ verbs: { install: ['sh', '-c', flood] } });
  await noisy.start(await install(charger), signal);
  t.match(await end(noisy), { state: 'failed', message: /^\d+$/ });
  const folder = join(charger.dir, 'state', 'effects', 'op-1.install');
  t.ok((await stat(join(folder, 'out'))).size < 200_000);
  t.match(
    await readFile(join(folder, 'err'), 'utf8'),
    /^error 0\n[\s\S]*error 19999\n$/,
    'the first words and the last',
  );
  await charger.let();
  const wordy = `x=$(head -c 3900 /dev/zero | tr '\\0' x); i=0; while [ $i -lt 400 ]; do echo "{\\"message\\": \\"$x$i\\"}"; echo "$x$i" >&2; i=$((i + 1)); done`;
  const long = driver({ verbs: { install: ['sh', '-c', wordy] } });
  await long.start(await install(charger, 'op-2'), signal);
  t.same(await end(long, 'op-2'), { state: 'succeeded', rebootNeeded: true }, 'long lines do not hide the end');
  const endless = ['sh', '-c', 'while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done'];
  await t.rejects(driver({ read_clock: endless }).readClock(signal), { code: 'OUTPUT_TOO_LONG' });
  const chatty = driver({ verbs: { evidence: ['sh', '-c', 'head -c 3000000 /dev/zero | tr "\\0" x'] } });
  await t.rejects(chatty.observe(signal), { code: 'STATION_UNREACHABLE', message: /no JSON object/ });
});

await t.test('programs that are missing, and words that are hostile', async (t) => {
  const { charger, driver } = await setUp(t);
  const nowhere = ['/nowhere/program'];
  const bare = driver({ verbs: { install: nowhere, evidence: nowhere }, read_clock: nowhere, set_clock: nowhere });
  await bare.start(await install(charger), signal);
  t.match(await end(bare), { state: 'failed', code: 'failed', message: /nowhere/ });
  await t.rejects(bare.observe(signal), { code: 'STATION_UNREACHABLE', message: /nowhere/ });
  await t.rejects(bare.readClock(signal), { code: 'STATION_UNREACHABLE', message: /nowhere/ });
  await t.rejects(bare.setClock(new Date(), signal), { code: 'CLOCK_REFUSED', message: /nowhere/ });
  const rude = driver({ read_clock: ['sh', '-c', "printf '\\033[2J\\377\\376bad' >&2; exit 1"] });
  await t.rejects(rude.readClock(signal), { message: /the clock cannot be read: \[2J.*bad$/ });
  const { logs: _none, network: _neither, ...verbs } = charger.entry.command ?? { install: [], evidence: [] };
  const poor = createRealDriver('gate', { ...charger.entry, transport: 'local', command: verbs }, createSshPool());
  t.match(poor.capabilities, { logs: false, network: false });
  await t.rejects(poor.openLogs({ type: 'SecurityLog' }, signal), { code: 'LOGS_UNAVAILABLE' });
  await t.rejects(poor.configureNetwork({ interfaceName: 'eth0' }, signal), { code: 'NOT_SUPPORTED' });
});

await t.test('secrets: none in arguments, none of the worker’s in the environment', async (t) => {
  const { charger, driver } = await setUp(t);
  process.env.STAND_IN_SECRET = 'known to the worker';
  t.teardown(() => delete process.env.STAND_IN_SECRET);
  const file = join(charger.dir, 'environment');
  await driver({ read_clock: ['sh', '-c', `env >${file}; date +%s`] }).readClock(signal);
  t.notMatch(await readFile(file, 'utf8'), /STAND_IN_SECRET/);
  await driver().configureNetwork({ interfaceName: 'wwan0', apn: { password: 'hush' } }, signal);
  t.same(JSON.parse(await readFile(join(charger.dir, 'network'), 'utf8')), {
    interface: 'wwan0',
    apn: { password: 'hush' },
  });
});

await t.test('a state folder that is full, or cannot be written, or is of a newer version', async (t) => {
  const { charger, driver } = await setUp(t);
  const closed = driver({ state_dir: '/proc/nowhere' });
  await t.rejects(closed.observe(signal), { code: 'STATION_FAILED', message: /state folder/ });
  const place = await mkdtemp(join(tmpdir(), 'small-disk-'));
  const disk = await mountSmallDisk(t, place, 8 * 1024 * 1024);
  if (!disk) {
    t.comment('nothing can be mounted here');
    return;
  }
  const small = driver({ state_dir: join(disk.path, 'state') });
  await small.observe(signal);
  const path = join(charger.dir, 'large');
  await writeFile(path, Buffer.alloc(20 * 1024 * 1024));
  const image = { path, sizeBytes: 20 * 1024 * 1024, sha256: 'a'.repeat(64) };
  await t.rejects(small.start({ step: 'install', operationId: 'op-1', image }, signal), { code: 'STATION_FULL' });
  await disk.fill(0);
  await t.rejects(small.retire('op-1', signal), { code: 'STATION_FAILED' });
  await t.rejects(small.start({ step: 'restart', operationId: 'op-2' }, signal));
  await disk.free();
  await small.retire('op-1', signal);
  await t.rejects(small.start({ step: 'install', operationId: 'op-1', image }, signal), { code: 'EFFECT_RETIRED' });
  await writeFile(join(disk.path, 'state', 'layout'), '2\n');
  await t.rejects(small.observe(signal), { code: 'STATION_FAILED', message: /newer/ });
});

await t.test('a process of an effect that is killed before it said anything is not waited for', async (t) => {
  const { charger, driver } = await setUp(t);
  // Asked by the process that decides, before it does.
  const evidence = [
    'sh',
    '-c',
    '[ ! -e "$0/kill" ] || kill -9 "$(awk \'{ print $4 }\' /proc/$PPID/stat)"',
    charger.dir,
  ];
  const killing = driver({ verbs: { evidence } });
  await charger.set('kill');
  const before = performance.now();
  await t.rejects(killing.start(await install(charger), signal), { code: 'STATION_UNREACHABLE' });
  t.ok(performance.now() - before < 25_000, 'long before the call is out of time');
  await charger.unset('kill');
  await killing.start(await install(charger), signal);
  await charger.let();
  t.same(await end(killing), { state: 'succeeded', rebootNeeded: true });
  t.same(await charger.log(), ['install op-1']);
});

await t.test('nor one that cannot write down that it is there, for the state folder is full by then', async (t) => {
  const place = await mkdtemp(join(tmpdir(), 'full-disk-'));
  t.teardown(() => rm(place, { recursive: true, force: true }));
  const disk = await mountSmallDisk(t, place, 4 * 1024 * 1024);
  if (!disk) {
    t.comment('nothing can be mounted here');
    return;
  }
  const shims = t.testdir({
    setsid: `#!/bin/sh
case "$*" in *run-effect*) cat /dev/zero >'${disk.path}/ballast' 2>/dev/null ;; esac
PATH=$(echo "$PATH" | cut -d: -f2-)
exec setsid "$@"
`,
  });
  await chmod(join(shims, 'setsid'), 0o755);
  const env = { ...process.env, PATH: `${shims}:${process.env.PATH}` };
  const before = performance.now();
  const words = ['start', join(disk.path, 'state'), '0', 'op-1', 'reboot', '5', '5', '-', 'nonce', '0', 'true'];
  const { stdout } = spawnSync('sh', [PROGRAM, ...words], { env });
  t.equal(stdout.toString(), 'error the state folder cannot be written\n');
  t.ok(performance.now() - before < 9500, 'at once: it is what a worker waits for');
  await disk.free();
  t.equal(spawnSync('sh', [PROGRAM, ...words.with(8, 'again')]).stdout.toString(), 'started\n', 'nothing had begun');
});

await t.test(
  'a state folder that is full when an effect ends: its end is written down once there is room',
  async (t) => {
    const { charger, driver } = await setUp(t);
    const place = await mkdtemp(join(tmpdir(), 'full-disk-'));
    t.teardown(() => rm(place, { recursive: true, force: true }));
    const disk = await mountSmallDisk(t, place, 4 * 1024 * 1024);
    if (!disk) {
      t.comment('nothing can be mounted here');
      return;
    }
    const full = 'cat /dev/zero >"$1/ballast"; echo filled >>"$0/log"';
    const small = driver({
      state_dir: join(disk.path, 'state'),
      verbs: {
        install: ['sh', '-c', full, charger.dir, disk.path],
        evidence: ['sh', '-c', 'printf \'{"boot_id": "%s", "healthy": true}\' "$(cat "$0/boot")"', charger.dir],
      },
    });
    await small.start(await install(charger), signal);
    await awaitUntil(async () => (await charger.log()).length > 0, PATIENCE_MS, 'the disk to be full');
    await awaitUntil(() => processesWith(full).length === 0, PATIENCE_MS, 'its command to end');
    for (let look = 0; look < 5; look += 1)
      t.not((await small.observeEffect('op-1', 'install', signal).catch(() => undefined))?.state, 'failed');
    await disk.free();
    t.same(await end(small), { state: 'succeeded', rebootNeeded: true });
    await writeFile(join(charger.dir, 'boot'), 'boot-2\n');
    t.match(await small.observe(signal), { runningInstalledBy: 'op-1' });
    await disk.fill(0);
    const seen = await small
      .observe(signal)
      .catch((error: unknown) => (hasCode(error, 'STATION_FAILED') ? 'nothing' : error));
    t.ok(
      seen === 'nothing' || (seen as { runningInstalledBy?: string }).runningInstalledBy === 'op-1',
      'or nothing is said',
    );
    await disk.free();
    t.match(await small.observe(signal), { runningInstalledBy: 'op-1' });
  },
);

await t.test('what broke off, or was not booted, is put back before its failure is told', async (t) => {
  const { charger, driver } = await setUp(t);
  const back = 'echo "recover $1" >>"$0/log"; rm -f "$0/next"';
  const verbs = { recover: ['sh', '-c', back, charger.dir, '{operation}'] };
  const careful = driver({ verbs });
  await careful.start(await install(charger), signal);
  await awaitUntil(async () => (await charger.log()).length > 0, PATIENCE_MS, 'its command to run');
  const begun = await readFile(join(charger.dir, 'state', 'effects', 'op-1.install', 'begun'), 'utf8');
  process.kill(Number(begun.split(' ')[0]), 'SIGKILL');
  await charger.let();
  t.match(await end(careful), { state: 'failed', code: 'failed' });
  t.same(await charger.log(), ['install op-1', 'recover op-1']);
  t.notOk(await stat(join(charger.dir, 'next')).catch(() => undefined), 'the command had gone on to its end');

  const killed = driver({
    verbs: { ...verbs, install: ['sh', '-c', 'echo next >"$0/next"; kill -9 $$', charger.dir] },
  });
  await killed.start(await install(charger, 'op-4'), signal);
  t.match(await end(killed, 'op-4'), { state: 'failed', code: 'failed', message: /ended with 137/ });
  t.same((await charger.log()).at(-1), 'recover op-4', 'its command was ended, and could put nothing back');
  t.notOk(await stat(join(charger.dir, 'next')).catch(() => undefined));

  await charger.let();
  await careful.start(await install(charger, 'op-2'), signal);
  t.match(await end(careful, 'op-2'), { state: 'succeeded' });
  const stays = driver({ verbs, reboot: ['true'], limits: { reboot_s: 1 } });
  await stays.start({ step: 'reboot', operationId: 'op-2' }, signal);
  const ended = await end(stays, 'op-2', 'reboot');
  const isThere = (await stat(join(charger.dir, 'next')).catch(() => undefined)) !== undefined;
  t.equal(isThere, ended.state === 'succeeded', `${ended.state}`);

  const broken = driver({ verbs, reboot: ['sh', '-c', 'exit 1'] });
  await broken.start({ step: 'reboot', operationId: 'op-3' }, signal);
  // A command that failed may have been ended by the very shutdown it began: that is waited for.
  t.match(await awaitEffect(broken, 'op-3', 'reboot', AbortSignal.timeout(4 * PATIENCE_MS)), { state: 'failed' });
  t.same((await charger.log()).at(-1), 'recover op-3');
});

await t.test(
  'what was given up: a recover that fails or is missing is told, and what broke off is put back',
  async (t) => {
    const { charger, driver } = await setUp(t);
    const recover = async (at: StationDriver, operationId = 'op-1') => at.recover?.(operationId, signal);
    await charger.let();
    await driver().start(await install(charger), signal);
    await end(driver());
    await charger.set('cannot-recover');
    await t.rejects(recover(driver()), {
      code: 'RECOVERY_FAILED',
      message: /the bootloader does not answer/,
    });
    await charger.unset('cannot-recover');
    const busy = driver({ verbs: { recover: ['sh', '-c', 'exit 75'] } });
    await t.rejects(recover(busy), { code: 'STATION_BUSY' });
    const { recover: _none, ...verbs } = charger.entry.command ?? {};
    const entry = { ...charger.entry, transport: 'local', command: verbs } as RealDriverEntry;
    const unable = createRealDriver('gate', entry, createSshPool());
    t.equal(await recover(unable), 'not_supported');
    t.equal(await recover(driver()), 'put_back');

    await charger.set('fail', '1');
    await charger.let();
    await driver().start(await install(charger, 'op-2'), signal);
    await end(driver(), 'op-2');
    t.equal(await recover(driver(), 'op-2'), 'nothing', 'it said itself that it has failed');
  },
);

await t.test('what is kept is told as it was counted, whatever becomes of it meanwhile', async (t) => {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const meanwhile = {
    'it grows': 'echo more >>"$OUT"',
    'it is removed with its effect': 'rm -r "$(dirname "$OUT")"',
    'it comes to be': '[ -e "$ERR" ] || echo late >"$ERR"',
  };
  for (const [what, command] of Object.entries(meanwhile)) {
    const dir = t.testdir({
      wc: `#!/bin/sh\n/usr/bin/wc "$@"\n${command}\n`,
      state: {},
    });
    await chmod(join(dir, 'wc'), 0o755);
    const effect = join(dir, 'state', 'effects', 'op-1.install');
    const [OUT, ERR] = [join(effect, 'out'), join(effect, 'err')];
    mkdirSync(effect, { recursive: true });
    writeFileSync(join(effect, 'begun'), `${process.pid} 1 ${boot} 1\n`);
    writeFileSync(OUT, '{"progress": 7}\n');
    const env = { ...process.env, PATH: `${dir}:${process.env.PATH}`, OUT, ERR };
    const args = [PROGRAM, 'observe-effect', join(dir, 'state'), '0', 'op-1.install'];
    const { status, stdout, stderr } = spawnSync('sh', args, { env });
    t.same([status, stderr.toString()], [0, ''], what);
    t.match(stdout.toString(), '@out 16\n{"progress": 7}\n\n', what);
  }
  // Evidence is told up to its limit.
  const dir = t.testdir({ state: {} });
  const ask = (...args: string[]) => spawnSync('sh', [PROGRAM, 'observe', join(dir, 'state'), '0', 'n', '5', ...args]);
  t.match(ask('sh', '-c', 'head -c 70000 /dev/zero').stdout.toString('latin1'), /@out 65536\n\0{65536}\n@err 0\n/);
});

await t.test('a command does not begin when the process that wanted it is gone', (t) => {
  const dir = t.testdir({ state: {} });
  const effect = join(dir, 'state', 'effects', 'op-1.install');
  mkdirSync(effect, { recursive: true });
  const run = (begun: string) => {
    writeFileSync(join(effect, 'begun'), begun);
    return spawnSync('sh', [PROGRAM, 'run-command', join(dir, 'state'), '0', 'op-1.install', 'echo', 'it ran']);
  };
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const ticks = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')[19];
  t.equal(run(`${process.pid} ${ticks} ${boot} 1\n`).stdout.toString(), 'it ran\n');
  t.equal(run(`${process.pid} 1 ${boot} 1\n`).stdout.toString(), '');
  t.match(readFileSync(join(effect, 'child'), 'utf8'), boot, 'it was written down first');
  t.end();
});
