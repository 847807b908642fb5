/**
 * A worker at a station with NetworkManager, in namespaces of their own: tries what a driver makes of its interfaces, and prints
 * a line of JSON each. Arguments: folder, what NetworkManager's programs are called by.
 */
import { execFile } from 'node:child_process';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { awaitUntil } from '@khumbu/test-support/events';
import type { NetworkSetup } from '../src/port.js';
import { createRealDriver } from '../src/station/real-driver.js';
import { createSshPool } from '../src/transports/ssh/ssh-transport.js';

const [dir = '', ...prefix] = process.argv.slice(2);
const [program = '', ...before] = prefix;
const { signal } = new AbortController();
const ROLLBACK_S = 30;

const run = async (...words: readonly string[]): Promise<string> =>
  (await promisify(execFile)(program, [...before, ...words])).stdout.trim();
const stateOf = (name: string): Promise<string> => run('nmcli', '-g', 'GENERAL.STATE', 'device', 'show', name);
const NM = ['org.freedesktop.NetworkManager', '/org/freedesktop/NetworkManager', 'org.freedesktop.NetworkManager'];
const call = (...words: readonly string[]): Promise<string> => run('busctl', '--system', 'call', ...NM, ...words);

const entry = (by: readonly string[]): RealDriverEntry => ({
  transport: 'local',
  state_dir: join(dir, 'state'),
  profile: 'command',
  command: { install: ['false'], evidence: ['false'] },
  network_manager: { prefix: [...by], rollback_s: ROLLBACK_S },
});

async function attempt(setup: NetworkSetup, by: readonly string[] = prefix): Promise<unknown> {
  const driver = createRealDriver('gate', entry(by), createSshPool());
  return driver.configureNetwork(setup, signal).catch(({ code, message }: { code: string; message: string }) => ({
    code,
    message,
  }));
}

async function tell(what: string, result: unknown, name: string): Promise<void> {
  const checkpoints = await run('busctl', '--system', 'get-property', ...NM, 'Checkpoints');
  const connections = (await run('nmcli', '-t', '-f', 'NAME', 'connection')).split('\n').sort();
  const state = await stateOf(name).catch(() => 'none');
  process.stdout.write(`${JSON.stringify({ what, result, state, checkpoints, connections })}\n`);
}

for (const what of ['up', 'again']) await tell(what, await attempt({ interfaceName: 'eth0' }), 'eth0');
await tell('no carrier', await attempt({ interfaceName: 'eth1' }), 'eth1');
await tell('no address', await attempt({ interfaceName: 'eth2' }), 'eth2');
await tell('unmanaged', await attempt({ interfaceName: 'peer0' }), 'peer0');
await tell('unknown', await attempt({ interfaceName: 'nowhere' }), 'nowhere');
await tell('apn', await attempt({ interfaceName: 'eth2', apn: { apn: 'x', password: 'hush' } }), 'eth2');

await run('nmcli', 'device', 'disconnect', 'eth0');
await call('CheckpointCreate', 'aouu', '0', '60', '0');
await tell('other checkpoint', await attempt({ interfaceName: 'eth0' }), 'eth0');
await call('CheckpointDestroy', 'o', '/');

// Whoever is to say that it stays does not get through.
const lost = join(dir, 'lost');
await writeFile(lost, '#!/bin/sh\ncase "$*" in *CheckpointDestroy*) exit 1 ;; esac\nexec "$@"\n');
await chmod(lost, 0o755);
await tell('unconfirmed', await attempt({ interfaceName: 'eth0' }, [lost, ...prefix]), 'eth0');
await awaitUntil(async () => (await stateOf('eth0')).startsWith('30'), 60_000, 'NetworkManager to take it back');
await tell('taken back', {}, 'eth0');
