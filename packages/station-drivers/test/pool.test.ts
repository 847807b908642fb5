/** Budgets of connections, and drivers of others. */
import { execFileSync } from 'node:child_process';
import { readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseStationsFile, profileFrom } from '@khumbu/shared/stations/stations-file';
import t from 'tap';
import { packagedDriver } from '../src/packaged-driver.js';
import { createPool, type PooledConnection } from '../src/pool.js';

const { signal } = new AbortController();

interface Fake extends PooledConnection {
  readonly target: string;
  isSpent: boolean;
  retired: boolean;
}

function bench(limits: { sessionsEach?: number; mostOpen?: number } = {}) {
  const made: Fake[] = [];
  let failure: Error | undefined;
  const pool = createPool<string, Fake>({
    keyOf: (target) => target,
    async open(target) {
      if (failure) throw failure;
      const connection: Fake = {
        target,
        isSpent: false,
        retired: false,
        retire() {
          connection.retired = true;
        },
      };
      made.push(connection);
      return connection;
    },
    sessionsEach: limits.sessionsEach ?? 2,
    mostOpen: limits.mostOpen ?? 2,
    mostOpening: 1,
    idleMs: 60_000,
    pauseMs: () => 60_000,
  });
  t.teardown(() => pool.close());
  return {
    pool,
    made,
    fail: (error?: Error) => {
      failure = error;
    },
  };
}

await t.test('one connection for a station, a bound on its sessions, in order', async (t) => {
  const { pool, made } = bench();
  const leases = await Promise.all([pool.acquire('a', signal), pool.acquire('a', signal)]);
  t.equal(made.length, 1);
  const order: number[] = [];
  const waiting = [1, 2].map(async (turn) => {
    const lease = await pool.acquire('a', signal);
    order.push(turn);
    return lease;
  });
  const abort = new AbortController();
  const aborted = t.rejects(pool.acquire('a', abort.signal), { name: 'AbortError' });
  abort.abort();
  await aborted;
  t.same(order, []);
  for (const lease of leases) {
    lease.release();
    lease.release();
  }
  for (const lease of await Promise.all(waiting)) lease.release();
  t.same(order, [1, 2]);
  t.equal(made.length, 1);
});

await t.test('a bound on all: the one that is idle for longest makes room', async (t) => {
  const { pool, made } = bench();
  for (const target of ['a', 'b']) (await pool.acquire(target, signal)).release();
  const held = await pool.acquire('c', signal);
  t.same(
    made.map(({ target, retired }) => [target, retired]),
    [
      ['a', true],
      ['b', false],
      ['c', false],
    ],
  );
  const other = await pool.acquire('b', signal);
  t.equal(pool.open(), 2);
  const third = pool.acquire('d', signal);
  held.release();
  t.equal((await third).connection.target, 'd', 'the first that is free makes room');
  other.release();
  t.equal(pool.open(), 2);
});

await t.test('a spent connection is replaced, one that cannot be opened is not tried again at once', async (t) => {
  const { pool, made, fail } = bench();
  (await pool.acquire('a', signal)).release();
  const [first] = made;
  if (!first) throw new Error('there is none');
  first.isSpent = true;
  (await pool.acquire('a', signal)).release();
  t.equal(made.length, 2);
  t.ok(first.retired);
  fail(new Error('refused'));
  await t.rejects(pool.acquire('b', signal), { message: 'refused' });
  fail();
  await t.rejects(pool.acquire('b', signal), { message: 'refused' }, 'the pause');
  t.equal(made.length, 2);
});

await t.test('a driver by the name of its package', async (t) => {
  const profile = profileFrom(parseStationsFile('stations: {gate: {driver: {package: x}}}'), 'gate');
  if (!profile) throw new Error('it is configured');
  const source = `export const createStationDriver = (station, settings) => ({ station,
    capabilities: { effects: [], clock: true, network: false, logs: false }, readClock: async () => new Date(settings.at) });`;
  const good = packagedDriver(profile, {
    package: `data:text/javascript,${encodeURIComponent(source)}`,
    settings: { at: 5 },
  });
  t.same(await good.readClock(signal), new Date(5));
  t.match(good.capabilities, { network: false });
  for (const specifier of ['@nobody/has-this', 'data:text/javascript,export default 5'])
    await t.rejects(packagedDriver(profile, { package: specifier }).observe(signal), { code: 'DRIVER_UNUSABLE' });
});

const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((path) => {
  try {
    execFileSync(path, ['true']);
    return true;
  } catch {
    return false;
  }
});
await t.test('the station program under busybox', { skip: busybox ? false : 'there is no busybox' }, (t) => {
  const dir = t.testdir({ bin: {}, state: {} });
  const names = execFileSync(busybox ?? '', ['--list'])
    .toString()
    .trim()
    .split('\n');
  for (const name of names) symlinkSync(busybox ?? '', join(dir, 'bin', name));
  const program = fileURLToPath(new URL('../../station/khumbu-station.sh', import.meta.url));
  const ask = (...args: readonly string[]): string =>
    execFileSync(busybox ?? '', ['sh', program, ...args], { env: { PATH: join(dir, 'bin') } }).toString();
  const state = join(dir, 'state');
  const begin = (operation: string, ...argv: readonly string[]) =>
    ask('start', state, '0', operation, 'restart', '20', '20', '-', `n-${operation}`, '0', ...argv).trim();
  t.equal(begin('op-1', 'sh', '-c', 'echo "{}"; exit 0'), 'started');
  t.equal(begin('op-1', 'true'), 'known');
  ask('retire', state, '0', 'op-2');
  t.equal(begin('op-2', 'true'), 'retired');
  t.match(ask('observe', state, '0', 'n', '5', 'echo', 'hello'), /@exit 1\n0\n@out 6\nhello\n/);
  t.equal(ask('run', state, '0', 'n2', '5', 'echo', "it's"), "it's\n");
  t.same(readdirSync(join(state, 'runs')), []);
  t.end();
});
