/** What goes wrong between a worker and a station, with a real SSH server. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { appendFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as pause } from 'node:timers/promises';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { awaitUntil } from '@khumbu/test-support/events';
import { hasSshd, killSessions, overSsh, sessionPids, startSshd } from '@khumbu/test-support/sshd';
import t, { type Test } from 'tap';
import { bytesOf } from '../src/log-parts.js';
import type { FirmwareImage } from '../src/port.js';
import { openConnection } from '../src/transports/ssh/connection.js';
import { processesWith, type Stage, setStage } from './stage.js';

const { signal } = new AbortController();
const MB = 1_000_000;
const PATIENCE_MS = 180_000;
t.setTimeout(900_000);
const only = { skip: hasSshd() ? false : 'there is no sshd' };

async function bigImage(stage: Stage, megabytes: number): Promise<FirmwareImage> {
  const bytes = randomBytes(megabytes * MB);
  const path = join(stage.charger.dir, `big-${megabytes}`);
  await writeFile(path, bytes);
  return { path, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

const ended = (stage: Stage, operationId: string, step: 'install' | 'reboot' | 'restart') =>
  awaitUntil(
    async () => {
      const effect = await stage.driver().observeEffect(operationId, step, signal);
      return effect.state !== 'running' && effect;
    },
    PATIENCE_MS,
    `the ${step} to end`,
  );

await t.test('a transfer that is cut goes on from where it was', only, async (t) => {
  const stage = await setStage(t);
  const image = await bigImage(stage, 60);
  const effect = { step: 'install', operationId: 'op-1', image } as const;
  let cuts = 0;
  for (; cuts < 3; cuts += 1) {
    let isCut = false;
    const first: number[] = [];
    await t.rejects(
      stage.driver().start(effect, signal, (sent) => {
        first.push(sent);
        if (isCut || sent < (cuts + 1) * 12 * MB) return;
        isCut = true;
        killSessions(stage.sshd);
      }),
      { code: 'STATION_UNREACHABLE' },
    );
    if (cuts > 0) t.ok((first[0] ?? 0) > cuts * 6 * MB, `it went on at ${first[0]}`);
  }
  await Promise.all([1, 2].map(() => stage.driver().start(effect, signal)));
  await stage.charger.let();
  t.match(await ended(stage, 'op-1', 'install'), { state: 'succeeded' });
  t.same(await stage.charger.log(), ['install op-1']);
  t.equal(
    createHash('sha256')
      .update(await readFile(join(stage.charger.dir, 'next.img')))
      .digest('hex'),
    image.sha256,
  );
});

await t.test('sessions cut at any moment while two workers begin: one effect', only, async (t) => {
  const stage = await setStage(t);
  for (let round = 0; round < 12; round += 1) {
    const operationId = `op-${round}`;
    const image = await stage.charger.image(operationId);
    const begin = async (): Promise<void> => {
      const driver = stage.driver();
      for (;;) {
        try {
          return await driver.start({ step: 'install', operationId, image }, signal);
        } catch (error) {
          if (!hasCode(error, 'STATION_UNREACHABLE')) throw error;
          await pause(20);
        }
      }
    };
    const both = Promise.all([begin(), begin()]);
    // From before the first session to after the effect was begun.
    await pause(round * 35);
    killSessions(stage.sshd);
    await both;
    await stage.charger.let();
    t.match(await ended(stage, operationId, 'install'), { state: 'succeeded' }, `cut after ${round * 35} ms`);
  }
  const expected = Array.from({ length: 12 }, (_none, round) => `install op-${round}`);
  t.same(await stage.charger.log(), expected, 'each once');
});

await t.test('what a power cut or an earlier try left of an image is not trusted', only, async (t) => {
  const stage = await setStage(t);
  const image = await bigImage(stage, 2);
  await stage.driver().retire('op-0', signal);
  await writeFile(join(stage.charger.dir, 'state', 'images', `${image.sha256}.part`), Buffer.alloc(MB));
  await stage.driver().start({ step: 'install', operationId: 'op-1', image }, signal);
  await stage.charger.let();
  t.match(await ended(stage, 'op-1', 'install'), { state: 'succeeded' });
  // Whole once, and then the flash lost some of it.
  const kept = await bigImage(stage, 3);
  const rotten = Buffer.from(await readFile(kept.path));
  rotten.writeUInt8(rotten.readUInt8(1000) ^ 1, 1000);
  await writeFile(join(stage.charger.dir, 'state', 'images', kept.sha256), rotten);
  await stage.driver().start({ step: 'install', operationId: 'op-kept', image: kept }, signal);
  await stage.charger.let();
  t.match(await ended(stage, 'op-kept', 'install'), { state: 'succeeded' });
  t.ok((await readFile(join(stage.charger.dir, 'next.img'))).equals(await readFile(kept.path)), 'brought again');
  const cutOff = { ...image, sha256: 'f'.repeat(64) };
  await t.rejects(stage.driver().start({ step: 'install', operationId: 'op-2', image: cutOff }, signal), {
    code: 'IMAGE_CHANGED',
  });
  const longer = { ...image, sha256: 'e'.repeat(64), sizeBytes: image.sizeBytes + 1 };
  await t.rejects(stage.driver().start({ step: 'install', operationId: 'op-3', image: longer }, signal), {
    code: 'IMAGE_CHANGED',
  });
});

await t.test('an effect goes on without the connection, the server, and whoever began it', only, async (t) => {
  const stage = await setStage(t);
  const image = await stage.charger.image('new');
  await stage.driver().start({ step: 'install', operationId: 'op-1', image }, signal);
  killSessions(stage.sshd);
  await stage.sshd.restart();
  const observer = stage.driver();
  // The station may be asked before its command has printed anything.
  const seen = await awaitUntil(
    async () => {
      const effect = await observer.observeEffect('op-1', 'install', signal);
      return (effect.state !== 'running' || effect.progressPercent !== undefined) && effect;
    },
    PATIENCE_MS,
    'the install to tell how far it is',
  );
  t.match(seen, { state: 'running', progressPercent: 10 });
  await stage.sshd.kill();
  await stage.charger.let();
  await stage.sshd.restart();
  t.match(await ended(stage, 'op-1', 'install'), { state: 'succeeded', rebootNeeded: true });
  t.same(await stage.charger.log(), ['install op-1']);
});

await t.test('an effect whose processes were killed has failed, and the station is free', only, async (t) => {
  const stage = await setStage(t);
  const image = await stage.charger.image('new');
  await stage.driver().start({ step: 'install', operationId: 'op-1', image }, signal);
  const folder = join(stage.charger.dir, 'state', 'effects', 'op-1.install');
  const pidIn = async (name: string) => Number((await readFile(join(folder, name), 'utf8')).split(' ')[0]);
  // It is written down as begun before it is, and is not begun any more when the process that wanted it is gone by then.
  await awaitUntil(async () => (await stage.charger.log()).length > 0, PATIENCE_MS, 'its command to run');
  process.kill(await pidIn('begun'), 'SIGKILL');
  t.match(await stage.driver().observeEffect('op-1', 'install', signal), { state: 'running' }, 'its command lives');
  process.kill(-(await pidIn('child')), 'SIGKILL');
  t.match(await ended(stage, 'op-1', 'install'), { state: 'failed', code: 'failed' });
  t.match(await stage.driver().observe(signal), { busy: false });
  await stage.driver().start({ step: 'install', operationId: 'op-1', image }, signal);
  t.match(await stage.driver().observe(signal), { busy: false }, 'it is not begun again');
});

await t.test('a connection that broke and has not said so yet', only, async (t) => {
  const { sshd } = await setStage(t);
  let socket: Socket | undefined;
  const target = {
    host: '127.0.0.1',
    port: sshd.port,
    user: sshd.user,
    knownHostsFile: sshd.knownHostsFile,
    privateKeyFile: sshd.privateKeyFile,
    connectMs: 10_000,
    keepAliveMs: 4000,
  };
  const connection = await openConnection({ ...target, jump: target }, async (_jump, host, port) => {
    socket = connect({ host, port });
    return socket;
  });
  socket?.destroy();
  await Promise.all([
    t.rejects(connection.exec('true', signal), { code: 'STATION_UNREACHABLE' }),
    t.rejects(connection.forward('127.0.0.1', sshd.port), { code: 'STATION_UNREACHABLE' }),
  ]);
  t.ok(connection.isSpent);
});

await t.test('a server that stands still is found dead, one that never answers is given up', only, async (t) => {
  const stage = await setStage(t);
  // With signs of life that come more often a server that is only slow would be dead, also before it is frozen.
  const driver = stage.driver({ limits: { keep_alive_s: 3, connect_s: 30 } });
  await driver.observe(signal);
  const frozen = sessionPids(stage.sshd, true);
  for (const pid of frozen) process.kill(pid, 'SIGSTOP');
  t.teardown(() => {
    for (const pid of frozen) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Gone already.
      }
    }
  });
  const before = performance.now();
  await t.rejects(driver.observe(signal), { code: 'STATION_UNREACHABLE' });
  t.ok(performance.now() - before < 45_000, 'within three signs of life');

  const mute = createServer(() => {}).listen(0, '127.0.0.1');
  t.teardown(() => mute.close());
  await once(mute, 'listening');
  const { port } = mute.address() as AddressInfo;
  await appendFile(stage.sshd.knownHostsFile, `[127.0.0.1]:${port},[127.0.0.1]:1 ${stage.sshd.hostPublicKey}\n`);
  await t.rejects(stage.driver({ port, limits: { connect_s: 1 } }).observe(signal), { code: 'STATION_UNREACHABLE' });
  await t.rejects(stage.driver({ port: 1 }).observe(signal), { code: 'STATION_UNREACHABLE', message: /ECONNREFUSED/ });
});

await t.test('a command ends with whoever wanted it, and by its limit when nobody can be reached', only, async (t) => {
  const stage = await setStage(t);
  await stage.charger.set('endless');
  const abort = new AbortController();
  const logs = await stage.driver().openLogs({ type: 'SecurityLog' }, abort.signal);
  const ended = t.rejects(buffer(bytesOf(...logs)), { name: 'AbortError' });
  const programs = `${stage.charger.dir}/bin/logs`;
  await awaitUntil(() => processesWith(programs).length > 0, PATIENCE_MS, 'the command to run');
  abort.abort();
  await awaitUntil(() => processesWith(programs).length === 0, PATIENCE_MS, 'the command to end');
  await ended;

  // Of this run alone: one that was ended by hand may have left another.
  const [seconds, others] = [`4321.${randomInt(1e9)}`, `4322.${randomInt(1e9)}`];
  const slow = stage.driver({ read_clock: ['sleep', seconds], limits: { command_s: 15 } });
  const reading = t.rejects(slow.readClock(signal), { code: 'STATION_UNREACHABLE' });
  await awaitUntil(() => processesWith(`sleep ${seconds}`).length > 0, PATIENCE_MS, 'the command to run');
  killSessions(stage.sshd);
  await stage.sshd.restart();
  await reading;
  await awaitUntil(() => processesWith(`sleep ${seconds}`).length === 0, PATIENCE_MS, 'its limit to end it');
  await t.rejects(slow.readClock(signal), { code: 'STATION_UNREACHABLE', message: /not done in 15 s/ });

  const aborted = new AbortController();
  const long = stage.driver({ read_clock: ['sleep', others] }).readClock(aborted.signal);
  await awaitUntil(() => processesWith(`sleep ${others}`).length > 0, PATIENCE_MS, 'the command to run');
  aborted.abort();
  await t.rejects(long, { name: 'AbortError' });
  const left = (): readonly number[] => processesWith(`sleep ${others}`);
  await awaitUntil(
    () => left().length === 0,
    PATIENCE_MS,
    () =>
      `the aborted command to end: ${left()
        .map((pid) => readFileSync(`/proc/${pid}/stat`, 'latin1'))
        .join()}`,
  );
});

await t.test('a server with room for one session serves many', { ...only }, async (t) => {
  const stage = await setStage(t, { config: ['MaxSessions 1'] });
  const driver = stage.driver();
  await driver.observe(signal);
  const clocks = await Promise.all(Array.from({ length: 6 }, () => driver.readClock(signal)));
  t.equal(clocks.length, 6);
});

async function refused(t: Test, stage: Stage, message: RegExp): Promise<void> {
  await t.rejects(stage.driver().observe(signal), { code: 'STATION_UNREACHABLE', message });
}

await t.test('who answers must be the pinned one, and whom we are must be known', only, async (t) => {
  const stage = await setStage(t);
  const { sshd } = stage;
  const known = await readFile(sshd.knownHostsFile, 'utf8');
  execFileSync('ssh-keygen', ['-q', '-H', '-f', sshd.knownHostsFile], { stdio: 'ignore' });
  t.match(await readFile(sshd.knownHostsFile, 'utf8'), /^\|1\|/);
  t.match(await stage.driver().observe(signal), { healthy: true }, 'hashed');
  const other = await readFile(`${sshd.privateKeyFile}.pub`, 'utf8');
  await writeFile(sshd.knownHostsFile, `[127.0.0.1]:${sshd.port} ${other}`);
  await refused(t, stage, /is not the pinned one/);
  await writeFile(sshd.knownHostsFile, `elsewhere ${other}`);
  await refused(t, stage, /no host key of .* is pinned/);
  await writeFile(sshd.knownHostsFile, `${known}@revoked ${known}`);
  await refused(t, stage, /is marked as revoked/);
  await writeFile(sshd.knownHostsFile, known);
  const keyFile = (name: string) => join(stage.charger.dir, name);
  const withKey = (name: string) => stage.driver({ private_key_file: keyFile(name) }).observe(signal);
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', keyFile('stranger')]);
  await t.rejects(withKey('stranger'), { code: 'STATION_UNREACHABLE', message: /refuses our key/ });
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', keyFile('locked')]);
  await t.rejects(withKey('locked'), { code: 'STATION_UNREACHABLE', message: /has a passphrase/ });
  execFileSync('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', keyFile('pkcs8')]);
  await t.rejects(withKey('pkcs8'), { code: 'STATION_UNREACHABLE', message: /PKCS#8.*ssh-keygen/ });
  await t.rejects(withKey('nowhere'), { code: 'STATION_UNREACHABLE', message: /ENOENT/ });
});

await t.test('keys of an agent', only, async (t) => {
  const stage = await setStage(t);
  // Sockets have short names.
  const folder = await mkdtemp(join(tmpdir(), 'agent-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const socket = join(folder, 'agent');
  const pid = /SSH_AGENT_PID=(\d+)/.exec(execFileSync('ssh-agent', ['-a', socket]).toString())?.[1];
  t.teardown(() => process.kill(Number(pid), 'SIGTERM'));
  execFileSync('ssh-add', ['-q', stage.sshd.privateKeyFile], { env: { ...process.env, SSH_AUTH_SOCK: socket } });
  const { private_key_file: _none, ...entry } = stage.entry;
  t.match(await stage.driver({}, { ...entry, agent_socket: socket }).observe(signal), { healthy: true });
});

await t.test('by way of a jump host', only, async (t) => {
  const stage = await setStage(t);
  const jump = await startSshd({ dir: join(stage.charger.dir, 'jump') });
  t.teardown(() => jump.stop());
  const { transport: _none, ...login } = overSsh(jump);
  const driver = stage.driver({ jump: login });
  const image = await bigImage(stage, 5);
  await driver.start({ step: 'install', operationId: 'op-1', image }, signal);
  await stage.charger.let();
  t.match(await ended(stage, 'op-1', 'install'), { state: 'succeeded' });
  killSessions(jump);
  await jump.kill();
  await t.rejects(driver.observe(signal), { code: 'STATION_UNREACHABLE' });
  await jump.restart();
  await awaitUntil(
    async () => {
      try {
        return (await driver.observe(signal)).healthy;
      } catch {
        return false;
      }
    },
    PATIENCE_MS,
    'the way to open again',
  );
});

await t.test('images leave nothing behind', only, async (t) => {
  const stage = await setStage(t);
  const image = await bigImage(stage, 1);
  await stage.driver().start({ step: 'install', operationId: 'op-1', image }, signal);
  await stage.charger.let();
  await ended(stage, 'op-1', 'install');
  const there = join(stage.charger.dir, 'state', 'images', image.sha256);
  await awaitUntil(async () => !(await stat(there).catch(() => undefined)), PATIENCE_MS, 'the image to be removed');
});
