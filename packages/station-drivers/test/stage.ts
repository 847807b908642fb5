/** A stand-in charger behind a real SSH server, and drivers for it as workers have them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hasCode } from '@khumbu/shared/runtime/errors';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { awaitUntil } from '@khumbu/test-support/events';
import { overSsh, type Sshd, type SshdOptions, startSshd } from '@khumbu/test-support/sshd';
import type { Test } from 'tap';
import type { StationDriver } from '../src/port.js';
import { createRealDriver } from '../src/station/real-driver.js';
import { createSshPool } from '../src/transports/ssh/ssh-transport.js';
import { makeStandIn, type StandIn } from './stand-in.js';

export interface Stage {
  readonly sshd: Sshd;
  readonly charger: StandIn;
  readonly entry: RealDriverEntry;
  /** A driver with connections of its own, as another worker has them. */
  driver(change?: Partial<RealDriverEntry>, from?: RealDriverEntry): StationDriver;
}

export async function setStage(t: Test, options: Omit<SshdOptions, 'dir'> = {}): Promise<Stage> {
  const dir = t.testdir({});
  const sshd = await startSshd({ dir: join(dir, 'sshd'), ...options });
  t.teardown(() => sshd.stop());
  const charger = await makeStandIn(join(dir, 'charger'));
  endProcessesOf(t, charger.dir);
  const entry: RealDriverEntry = { ...charger.entry, ...overSsh(sshd) };
  return {
    sshd,
    charger,
    entry,
    driver(change = {}, from = entry) {
      const pool = createSshPool();
      t.teardown(() => pool.close());
      return createRealDriver('gate', { ...from, ...change }, pool);
    },
  };
}

/** Drivers of one station by turns as two workers have them: with connections of their own. */
export function driversOfTwoWorkers(t: Test, entry: RealDriverEntry): () => StationDriver {
  const pools = [createSshPool(), createSshPool()];
  t.teardown(() => {
    for (const pool of pools) pool.close();
  });
  let turn = 0;
  return () => {
    turn += 1;
    return createRealDriver('gate', entry, pools[turn % 2] ?? createSshPool());
  };
}

/** At the end of a test, before its folder is removed: whatever still runs for the charger in it. */
export function endProcessesOf(t: Test, dir: string): void {
  t.teardown(async () => {
    // One that is just being begun has no command line of its own yet.
    let quiet = 0;
    await awaitUntil(
      () => {
        const running = processesWith(dir);
        for (const pid of running) {
          try {
            process.kill(pid, 'SIGKILL');
          } catch {
            // It went by itself.
          }
        }
        quiet = running.length === 0 ? quiet + 1 : 0;
        return quiet > 5;
      },
      20_000,
      'the processes of the charger to end',
    );
  });
}

/** What `/proc` tells of a process, or undefined: it may end between two looks. */
function ofProcess(pid: number | string, file: 'cmdline' | 'comm'): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

/** The name of its program. */
export const programOf = (pid: number): string | undefined => ofProcess(pid, 'comm')?.trimEnd();

/** Processes whose command line holds all of the texts; not this one. */
export const processesWith = (...texts: readonly string[]): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      const line = ofProcess(pid, 'cmdline')?.replaceAll('\0', ' ');
      return line !== undefined && texts.every((text) => line.includes(text));
    })
    .map(Number);
