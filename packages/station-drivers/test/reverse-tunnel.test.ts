/** Chargers without a way in: the command of infra/station/khumbu-tunnel.service from a charger to a real sshd of the depot. */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { answersOn, freePort } from '@khumbu/shared/runtime/free-port';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { type Child, startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';
import { hasSshd, makeKey, overSsh, startSshd } from '@khumbu/test-support/sshd';
import t, { type Test } from 'tap';
import { limitsOf, sshTargetOf } from '../src/station/entry-settings.js';
import { shownHostKey } from '../src/transports/ssh/shown-host-key.js';
import { setStage } from './stage.js';

const run = promisify(execFile);
const { signal } = new AbortController();
const UNIT = fileURLToPath(new URL('../../../../infra/station/khumbu-tunnel.service', import.meta.url));
const PATIENCE_MS = 180_000;
const MB = 1_000_000;
t.setTimeout(900_000);
const only = { skip: hasSshd() ? false : 'there is no sshd' };

/** What docs/stations.md writes into the sshd_config of the depot for the user of the tunnels. */
const DEPOT = ['AllowTcpForwarding remote', 'PermitTTY no', 'ForceCommand /bin/false'];
const ALIVE = ['ClientAliveInterval 3', 'ClientAliveCountMax 3'];

async function setUp(t: Test) {
  const stage = await setStage(t);
  const dir = join(stage.charger.dir, '..', 'tunnel');
  const home = join(dir, 'etc');
  await mkdir(home, { recursive: true });
  const key = join(home, 'id_ed25519');
  makeKey(key);
  const listen = await freePort();
  const allowed = join(dir, 'authorized_keys');
  const options = `restrict,port-forwarding,permitlisten="127.0.0.1:${listen}"`;
  await writeFile(allowed, `${options} ${readFileSync(`${key}.pub`, 'utf8')}`);
  const config = [...DEPOT, ...ALIVE, `AuthorizedKeysFile ${allowed}`];
  const depot = await startSshd({ dir: join(dir, 'depot'), config });
  t.teardown(() => depot.stop());
  await writeFile(join(home, 'known_hosts'), readFileSync(depot.knownHostsFile));
  const values: Record<string, string> = {
    DEPOT: `${depot.user}@127.0.0.1`,
    DEPOT_PORT: String(depot.port),
    LISTEN: String(listen),
    SSHD: String(stage.sshd.port),
  };
  const [, line = ''] = /^ExecStart=((?:.*\\\n)*.*)$/m.exec(readFileSync(UNIT, 'utf8')) ?? [];
  const argv = (change: Record<string, string> = {}) =>
    line
      .replaceAll('\\\n', ' ')
      .replaceAll('/etc/khumbu-tunnel', home)
      .replace(/\$\{(\w+)\}/g, (_whole, name: string) => ({ ...values, ...change })[name] ?? '')
      .trim()
      .split(/\s+/);
  const isOpen = () => answersOn(listen, 'SSH-2.0-test\r\n', 'SSH-2.0');
  /** As `Restart=always` does: once the depot has let go of the port, it is open again. */
  const open = async (): Promise<Child> => {
    const [program = '', ...args] = argv();
    let tunnel = await startChild(program, args);
    let since = performance.now();
    t.teardown(() => tunnel.end('SIGKILL'));
    await awaitUntil(
      async () => {
        if (tunnel.exit()) {
          tunnel = await startChild(program, args);
          since = performance.now();
        }
        // sshd looks for signs of life only when nothing else happens for an interval (9.2): who knocks all the time keeps a
        // dead tunnel. One that could not have the port has ended by now.
        return performance.now() - since > 2000 && isOpen();
      },
      PATIENCE_MS,
      () => `the tunnel to open: ${tunnel.output()}`,
    );
    return tunnel;
  };
  const known = join(dir, 'known_hosts');
  await writeFile(known, `gate-7 ${stage.sshd.hostPublicKey}\n`);
  const entry: RealDriverEntry = {
    ...stage.entry,
    port: listen,
    known_hosts_file: known,
    host_key_alias: 'gate-7',
    limits: { ...stage.entry.limits, keep_alive_s: 4 },
  };
  return { stage, dir, depot, argv, open, isOpen, entry, known, listen };
}

await t.test('an update whose tunnel breaks twice', only, async (t) => {
  const { stage, open, isOpen, entry } = await setUp(t);
  const driver = () => stage.driver({}, entry);
  let tunnel = await open();
  t.match(await driver().observe(signal), { healthy: true });

  const bytes = randomBytes(40 * MB);
  const path = join(stage.charger.dir, 'big');
  await writeFile(path, bytes);
  const image = { path, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  const effect = { step: 'install', operationId: 'op-1', image } as const;
  let ending: Promise<unknown> | undefined;
  const broken = driver().start(effect, signal, (sent) => {
    if (sent > 15 * MB) ending ??= tunnel.end('SIGKILL');
  });
  await t.rejects(broken, { code: 'STATION_UNREACHABLE' }, 'in the middle of the image');
  await ending;
  await awaitUntil(async () => !(await isOpen()), PATIENCE_MS, 'the way to be shut');
  await t.rejects(driver().observe(signal), { code: 'STATION_UNREACHABLE' });

  tunnel = await open();
  let first: number | undefined;
  await driver().start(effect, signal, (sent) => {
    first ??= sent;
  });
  t.ok((first ?? 0) > 10 * MB, `the image goes on at ${first}`);
  t.match(await driver().observeEffect('op-1', 'install', signal), { state: 'running' });

  await tunnel.end('SIGKILL');
  await stage.charger.let();
  tunnel = await open();
  const ended = await awaitUntil(
    async () => {
      const seen = await driver().observeEffect('op-1', 'install', signal);
      return seen.state !== 'running' && seen;
    },
    PATIENCE_MS,
    'the install to end',
  );
  t.match(ended, { state: 'succeeded' }, 'it went on without the tunnel');
  t.same(await stage.charger.log(), ['install op-1'], 'once');
  t.ok((await readFile(join(stage.charger.dir, 'next.img'))).equals(bytes));
});

await t.test('a tunnel that stands still', only, async (t) => {
  const { stage, open, entry } = await setUp(t);
  const tunnel = await open();
  const driver = stage.driver({}, entry);
  await driver.observe(signal);
  tunnel.process.kill('SIGSTOP');
  const since = performance.now();
  await t.rejects(driver.observe(signal), { code: 'STATION_UNREACHABLE' });
  t.ok(performance.now() - since < 45_000, 'is found by the signs of life');
  // The depot lets go of the port by its own signs of life; without them no other tunnel could take it.
  await open();
  t.match(await driver.observe(signal), { healthy: true });
});

await t.test('the key of a tunnel opens that one port and nothing else', only, async (t) => {
  const { argv, open } = await setUp(t);
  await open();
  const refused = async (words: readonly string[], why: RegExp, what: string) => {
    const [program = '', ...args] = words;
    const told = await run(program, args, { timeout: 60_000 }).catch((error: { stderr: string }) => error);
    t.match(told.stderr, why, what);
  };
  await refused(argv({ LISTEN: String(await freePort()) }), /remote port forwarding failed/, 'another port');
  await refused(argv(), /remote port forwarding failed/, 'the same port a second time');
  const [program = '', ...args] = argv();
  const others = args.slice(0, args.indexOf('-R')).filter((word) => word !== '-N');
  const depot = args.at(-1) ?? '';
  const told = await run(program, [...others, depot, 'id']).catch((error: { code: number; stdout: string }) => error);
  t.match(told, { code: 1, stdout: '' }, 'no command');
  await refused([program, ...others, '-W', '127.0.0.1:22', depot], /administratively prohibited/, 'no way further');
});

await t.test('who answers at the port is judged by the name that is pinned', only, async (t) => {
  const { stage, dir, open, entry, known, listen } = await setUp(t);
  await open();
  const other = await startSshd({ dir: join(dir, 'other') });
  t.teardown(() => other.stop());
  await writeFile(known, `gate-7 ${other.hostPublicKey}\n[127.0.0.1]:${listen} ${stage.sshd.hostPublicKey}\n`);
  await t.rejects(
    stage.driver({}, entry).observe(signal),
    { message: /is not the pinned one/ },
    'the tunnel of another',
  );
  await writeFile(known, `[127.0.0.1]:${listen} ${stage.sshd.hostPublicKey}\n`);
  await t.rejects(stage.driver({}, entry).observe(signal), { message: /no host key of .* is pinned/ });
  // Shown through the tunnel, for a person to compare; here by way of a jump host, where the tunnels end.
  const reached: RealDriverEntry = { ...entry, jump: overSsh(other) };
  const shown = await shownHostKey(sshTargetOf(reached, limitsOf(reached)), PATIENCE_MS);
  t.equal(shown.line, `gate-7 ${stage.sshd.hostPublicKey}`);
  await writeFile(known, `${shown.line}\n`);
  t.match(await stage.driver({}, reached).observe(signal), { healthy: true });
});
