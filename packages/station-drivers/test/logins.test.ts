/** Each connection to a station is told of, opened or not, with a real SSH server. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasSshd, startSshd } from '@khumbu/test-support/sshd';
import t from 'tap';
import { createSshPool, type Login } from '../src/transports/ssh/ssh-transport.js';
import { type SshTarget, targetKey } from '../src/transports/ssh/target.js';

const only = { skip: hasSshd() ? false : 'there is no sshd' };

await t.test('logins are told with their station, and with how far they went', only, async (t) => {
  const dir = t.testdir({});
  const sshd = await startSshd({ dir });
  t.teardown(() => sshd.stop());
  const logins: Login[] = [];
  const pool = createSshPool({ onLogin: (login) => logins.push(login) });
  t.teardown(() => pool.close());
  const target: SshTarget = {
    station: 'gate',
    host: '127.0.0.1',
    port: sshd.port,
    user: sshd.user,
    knownHostsFile: sshd.knownHostsFile,
    privateKeyFile: sshd.privateKeyFile,
    connectMs: 20_000,
    keepAliveMs: 20_000,
  };
  const other = join(dir, 'other_hosts');
  await writeFile(
    other,
    `[127.0.0.1]:${sshd.port} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3Tz8eTnhPmV9wmSKqDOP0dSlKYdRGzVAqhSp7k4Hyp\n`,
  );
  const login = async (change: Partial<SshTarget> = {}): Promise<void> => {
    const { signal } = new AbortController();
    await pool.acquire({ ...target, ...change }, signal).then(
      (lease) => lease.release(),
      () => undefined,
    );
  };
  await login();
  await login();
  await login({ user: 'nobody-of-that-name' });
  await login({ knownHostsFile: other });
  await login({ knownHostsFile: join(dir, 'none') });
  const at = `${sshd.user}@127.0.0.1:${sshd.port}`;
  t.match(logins, [
    { station: 'gate', at, failure: undefined },
    { station: 'gate', at: `nobody-of-that-name@127.0.0.1:${sshd.port}`, failure: { stage: 'login' } },
    { station: 'gate', at, failure: { stage: 'host_key', message: /is not the pinned one/ } },
    { station: 'gate', at, failure: { stage: 'pinned_key' } },
  ]);
  t.equal(logins.length, 4, 'a connection that is used again is one login');
  t.equal(targetKey(target), targetKey({ ...target, station: 'other' }), 'stations at one host share it');
});
