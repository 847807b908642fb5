/** What goes wrong with a real SWUpdate: images, scripts, the daemon, the client, room, others. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { awaitUntil } from '@khumbu/test-support/events';
import type { SwuOptions } from '@khumbu/test-support/swu';
import { hasSwupdate } from '@khumbu/test-support/swupdate';
import t from 'tap';
import {
  begun,
  end,
  entryOf,
  handedOver,
  install,
  installWithClient,
  letting,
  outputOf,
  PATIENCE_MS,
  rebooted,
  setUp,
  sleeps,
} from './swupdate-stage.js';

const { signal } = new AbortController();
t.setTimeout(1_800_000);
const run = promisify(execFile);
const only = { skip: hasSwupdate() ? false : 'there is no SWUpdate, or we are not root' };

await t.test('images that are unfit', only, async (t) => {
  const { station, driver, withSettings } = await setUp(t);
  const slot = await station.slot('b');
  await station.let();
  const tryIt = async (name: string, change: Partial<SwuOptions>, by = driver()) => {
    await by.start(await install(station, name, change), signal);
    return end(by, name);
  };
  const unfit = (message: RegExp) => ({ state: 'failed', code: 'verification_failed', message });
  t.match(
    await tryIt('stranger', { stranger: true }),
    unfit(/Authentication of all signatures failed \(its dates count/),
  );
  t.match(await tryIt('damaged', { damaged: true }), unfit(/HASH mismatch/));
  t.match(await tryIt('other', { hardware: '9.9' }), unfit(/SW not compatible with hardware/));
  const strict = withSettings({ refuse_downgrade: true });
  t.match(await tryIt('older', { version: '0.8' }, strict), unfit(/version 0\.9 runs, the image has 0\.8/));
  t.match(await tryIt('odd', { version: 'red' }, strict), unfit(/versions cannot be compared/));
  t.ok(slot.equals(await station.slot('b')), 'nothing was written');
  t.equal(await station.begun(), 0);
  t.equal(station.variable('slot'), 'a');
  t.equal(station.variable('ustate'), '', 'nor marked');
  t.match(await tryIt('newer', { version: '0.10' }, strict), { state: 'succeeded' });
});

await t.test('what is not an image, and one that was cut', only, async (t) => {
  const { station, driver } = await setUp(t);
  for (const [name, bytes] of [
    ['junk', Buffer.from('junk')],
    ['cut', (await readFile((await station.image('x')).path)).subarray(0, 500_000)],
  ] as const) {
    const path = join(station.dir, name);
    await writeFile(path, bytes);
    const image = { path, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    await driver().start({ step: 'install', operationId: name, image }, signal);
    t.match(await end(driver(), name), { state: 'failed', code: 'verification_failed', message: /CPIO|HASH/ });
  }
  t.equal(station.variable('slot'), 'a');
});

await t.test('a script that fails after the switch: what boots is put back', only, async (t) => {
  const { station, driver } = await setUp(t);
  await station.set('post-fails', '3');
  await station.let();
  await driver().start(await install(station), signal);
  t.match(await end(driver()), { state: 'failed', code: 'failed', message: /./ });
  t.equal(station.variable('slot'), 'a');
  t.equal(station.variable('ustate'), '3');
});

await t.test(
  'an install that was never booted: its slot is written again, and does not boot when that fails',
  only,
  async (t) => {
    const { station, driver } = await setUp(t);
    await station.let();
    await driver().start(await install(station), signal);
    t.match(await end(driver()), { state: 'succeeded' });
    t.equal(station.variable('slot'), 'b');
    await driver().start(await install(station, 'op-2'), signal);
    await begun(station, 2);
    t.equal(station.variable('slot'), 'a', 'what is being written does not boot');
    await station.set('post-fails', '3');
    await station.let();
    t.match(await end(driver(), 'op-2'), { state: 'failed' });
    t.equal(station.variable('slot'), 'a');
  },
);

await t.test('a daemon that dies in the middle of a slot: it is written again in full', only, async (t) => {
  const { station, driver } = await setUp(t);
  execFileSync('mkfifo', [join(station.dir, 'hold')]);
  await station.let();
  await driver().start(await install(station, 'op-1', { halves: true }), signal);
  const isHalf = async () => (await station.slot('b')).subarray(0, 4).equals(Buffer.from('1.0\n'));
  await awaitUntil(isHalf, PATIENCE_MS, 'half of the slot to be written');
  t.equal(station.variable('recovery_status'), 'in_progress');
  await station.killDaemon();
  const pipe = spawn('sh', ['-c', `while [ -d ${station.dir} ]; do cat ${station.dir}/hold; done`], {
    stdio: 'ignore',
  });
  t.teardown(() => pipe.kill());
  t.same(await letting(station, end(driver())), { state: 'succeeded', rebootNeeded: true });
  t.equal(await station.begun(), 2);
  t.equal(station.variable('slot'), 'b');
  t.equal(station.variable('recovery_status'), '');
  t.match(await rebooted(driver(), 'op-1'), { runningInstalledBy: 'op-1', slot: 'b' });
});

await t.test(
  'a daemon that dies and stays away, after it has installed something: the client says it was successful',
  only,
  async (t) => {
    const { station, driver } = await setUp(t);
    await station.let();
    await driver().start(await install(station, 'op-1'), signal);
    t.match(await end(driver()), { state: 'succeeded' });
    await rebooted(driver(), 'op-1');
    const { turn, operationId, client } = await installWithClient(station, driver(), 2);
    await awaitUntil(() => sleeps(client), PATIENCE_MS, 'the client to have handed over everything, and to pause');
    await station.killDaemon(true);
    const code = join(station.dir, 'state/swupdate/code');
    await awaitUntil(() => existsSync(code), PATIENCE_MS, 'the client to end');
    t.equal(await readFile(code, 'utf8'), '0\n', 'its exit code, with 2022.12');
    t.match(await end(driver(), operationId), { state: 'failed', message: /in the middle.*does not answer again/ });
    t.equal(station.variable('slot'), 'b');
    await station.unset('stay-away');
    const next = `op-${turn + 1}`;
    await driver().start(await install(station, next), signal);
    t.same(await letting(station, end(driver(), next)), { state: 'succeeded', rebootNeeded: true });
    t.match(await outputOf(station, next), /an earlier update was broken off/);
    t.equal(station.variable('slot'), 'a');
  },
);

await t.test(
  'a client that is killed: what it had handed over is installed all the same, and then again',
  only,
  async (t) => {
    const { station, driver } = await setUp(t);
    const { turn, operationId, client } = await installWithClient(station, driver());
    process.kill(client, 'SIGKILL');
    t.same(await letting(station, end(driver(), operationId)), { state: 'succeeded', rebootNeeded: true });
    t.equal(await station.begun(), turn + 1);
    t.equal(station.variable('slot'), 'b');
  },
);

/** Before its first run the daemon is ended, and another one listens by the time that run has failed. */
const BETWEEN_TWO_DAEMONS = (dir: string): string => `#!/bin/sh
D='${dir}'
is_heard() { grep -q "00010000 .* $D/tmp/sockinstctrl\\$" /proc/net/unix; }
read -r _ _ _ _ group _ </proc/self/stat
echo "$group" >>"$D/groups"
[ ! -e "$D/tried" ] || exec "$@"
: >"$D/tried"
: >"$D/stay-away"
kill -9 "$(cat "$D/daemon.pid")"
while is_heard; do sleep 0.05; done
"$@"
code=$?
rm "$D/stay-away"
until is_heard; do sleep 0.05; done
exit "$code"`;

await t.test('a client that met no daemon, and one listens when it has ended: it is no busy one', only, async (t) => {
  const { station, withSettings } = await setUp(t);
  const program = join(station.dir, 'between');
  await writeFile(program, BETWEEN_TWO_DAEMONS(station.dir), { mode: 0o755 });
  const driver = withSettings({ client: [program, ...(station.settings.client ?? [])] });
  await station.let();
  await driver.start(await install(station), signal);
  t.same(await end(driver), { state: 'succeeded', rebootNeeded: true });
  t.equal(await station.begun(), 1);
  const groups = (await readFile(join(station.dir, 'groups'), 'utf8')).trim().split('\n');
  t.equal(groups.length, 2, 'its client ran twice');
  t.equal(new Set(groups).size, 1, 'in one run of the effect');
});

await t.test('more padding than SWUpdate reads: its client fails, and the update does not', only, async (t) => {
  const { station, driver } = await setUp(t);
  await driver().start(await install(station, 'op-1', { paddingBytes: 1_000_000 }), signal);
  await begun(station);
  await station.let();
  t.same(await end(driver()), { state: 'succeeded', rebootNeeded: true });
  t.equal(await readFile(join(station.dir, 'state/swupdate/code'), 'utf8'), '1\n', 'how its client ended');
  t.equal(await station.begun(), 1);
  t.equal(station.variable('slot'), 'b');
});

await t.test('another updater is waited for', only, async (t) => {
  const { station, driver } = await setUp(t);
  const theirs = await station.image('theirs');
  const [program = '', ...args] = station.inside('swupdate-client', '-v', '-e', 'stable,copy-b', theirs.path);
  const env = { ...process.env, TMPDIR: join(station.dir, 'tmp') };
  const theirEnd = run(program, args, { env }).catch(({ stderr }: { stderr: string }) =>
    t.match(stderr, /image_write/),
  );
  await begun(station);
  await driver().start(await install(station), signal);
  t.match(await driver().observeEffect('op-1', 'install', signal), { state: 'running' });
  // Their client may see its end only once ours has ended as well.
  const [ours] = await letting(station, Promise.all([end(driver()), theirEnd]));
  t.same(ours, { state: 'succeeded', rebootNeeded: true });
  t.match(await rebooted(driver(), 'op-1'), { runningInstalledBy: 'op-1' });
});

await t.test('out of time: what the daemon switches later is put back before the failure is told', only, async (t) => {
  const { station, driver } = await setUp(t);
  const short = driver({ limits: { install_s: 20 } });
  await short.start(await install(station), signal);
  await begun(station);
  const result = join(station.dir, 'state/effects/op-1.install/result');
  await awaitUntil(() => existsSync(result), PATIENCE_MS, 'its time to be over');
  t.match(await short.observeEffect('op-1', 'install', signal), { state: 'running' }, 'the daemon is at work');
  await station.let();
  t.match(await end(short), { state: 'failed', message: /not done in 20 s/ });
  t.match(await readFile(join(station.dir, 'daemon.log'), 'utf8'), /SWUPDATE successful/);
  t.equal(station.variable('slot'), 'a');
});

await t.test('killed with all its processes: failure is told once what boots is put back', only, async (t) => {
  const { station, driver } = await setUp(t);
  await driver().start(await install(station), signal);
  await begun(station);
  await handedOver(station);
  const folder = join(station.dir, 'state/effects/op-1.install');
  const pidIn = async (name: string) => Number((await readFile(join(folder, name), 'utf8')).split(' ')[0]);
  process.kill(await pidIn('begun'), 'SIGKILL');
  process.kill(-(await pidIn('child')), 'SIGKILL');
  t.match(await driver().observeEffect('op-1', 'install', signal), { state: 'running' }, 'the daemon is at work');
  await station.let();
  t.match(await end(driver()), { state: 'failed', code: 'failed' });
  t.equal(station.variable('slot'), 'a');
  await station.let();
  await driver().start(await install(station, 'op-2'), signal);
  t.match(await end(driver(), 'op-2'), { state: 'succeeded' });
  t.match(await driver().observeEffect('op-1', 'install', signal), { state: 'failed' });
  t.equal(station.variable('slot'), 'b', 'a later install is left alone');
});

await t.test(
  'killed without the process that waits for it: told as failed once what boots is put back',
  only,
  async (t) => {
    const { station, driver } = await setUp(t);
    await driver().start(await install(station), signal);
    await begun(station);
    await handedOver(station);
    const folder = join(station.dir, 'state/effects/op-1.install');
    process.kill(-Number((await readFile(join(folder, 'child'), 'utf8')).split(' ')[0]), 'SIGKILL');
    await awaitUntil(() => existsSync(join(folder, 'result')), PATIENCE_MS, 'its end to be written down');
    t.match(await driver().observeEffect('op-1', 'install', signal), { state: 'running' }, 'the daemon is at work');
    await station.let();
    t.match(await end(driver()), { state: 'failed', code: 'failed', message: /137/ });
    t.match(await readFile(join(station.dir, 'daemon.log'), 'utf8'), /SWUPDATE successful/);
    t.equal(station.variable('slot'), 'a');
  },
);

await t.test('no room where it unpacks', only, async (t) => {
  const { station, driver, withSettings } = await setUp(t, { tmpBytes: 700_000 });
  await station.let();
  await driver().start(await install(station), signal);
  const early = /no space in .*KiB free, .*KiB needed/;
  t.match(await end(driver()), { state: 'failed', code: 'failed', message: early }, 'before it is begun');
  const elsewhere = withSettings({ tmpdir: station.dir });
  await elsewhere.start(await install(station, 'op-2'), signal);
  const late = /Not enough free space to extract/;
  t.match(await end(elsewhere, 'op-2'), { state: 'failed', code: 'failed', message: late }, 'as SWUpdate says it');
  t.equal(await station.begun(), 0);
});

await t.test('no daemon, no client, no variables', only, async (t) => {
  const { station, withSettings } = await setUp(t);
  await station.let();
  let turn = 0;
  const tryIt = async (change: Parameters<typeof withSettings>[0], message: RegExp) => {
    turn += 1;
    const by = withSettings(change);
    await by.start(await install(station, `op-${turn}`), signal);
    t.match(await end(by, `op-${turn}`), { state: 'failed', code: 'failed', message });
  };
  await tryIt({ control_socket: '/run/nobody/sockinstctrl' }, /no SWUpdate listens/);
  await tryIt({ client: ['/opt/none/swupdate-client'] }, /not found/);
  await tryIt({ read_variable: ['false'] }, /variables of the bootloader cannot be read/);
  await tryIt({ running_slot: ['false'] }, /slot that runs is not known/);
  await tryIt({ running_slot: ['echo', 'c'] }, /no selection is there for the slot that runs, c/);
  t.equal(await station.begun(), 0);
  t.equal(station.variable('slot'), 'a');
});

await t.test('a client that floods us', only, async (t) => {
  const { station, driver, withSettings } = await setUp(t);
  const limits = { install_s: 3 };
  const { swupdate } = entryOf(station);
  if (!swupdate) throw new TypeError('there are settings');
  const floods = driver({
    limits,
    swupdate: { ...swupdate, client: ['yes', '--', 'Status: 4 message: ERROR : '.padEnd(3000, 'x')] },
  });
  await floods.start(await install(station), signal);
  t.match(await end(floods), { state: 'failed', message: /not done in 3 s/ });
  const { stdout } = await run('du', ['-sk', join(station.dir, 'state')]);
  t.ok(Number(stdout.split('\t')[0]) < 3000, stdout);
  t.match(await withSettings({}).observe(signal), { slot: 'a', busy: false });
});
