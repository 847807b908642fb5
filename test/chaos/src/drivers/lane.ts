/** One charger with its own way to it, on which rounds are played one after the other. */
import { appendFile, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { mountSmallDisk, type SmallDisk } from '@khumbu/test-support/small-disk';
import { killSessions, overSsh, startSshd } from '@khumbu/test-support/sshd';
import type { Cleanup } from '../depot/cleanup.js';
import { openProxy, type TcpProxy } from '../depot/proxy.js';
import type { Charger, ChargerKind } from './charger.js';
import { killHard, processesWith, type RunningProcess } from './processes.js';

/** Room for images and markers; small enough to be filled at once. */
const STATE_BYTES = 24 * 1024 * 1024;

export interface EffectProcesses {
  /** Of the one that decides and waits; of the group of the command that it runs. */
  readonly runner: number | undefined;
  readonly commandGroup: number | undefined;
}

export interface Lane {
  readonly charger: Charger;
  readonly proxy: TcpProxy;
  /** Where the driver keeps what it keeps at the station; `undefined`: this machine lets nobody mount a file system. */
  readonly stateDisk: SmallDisk | undefined;
  entry(transport: RealDriverEntry['transport']): RealDriverEntry;
  /** SIGKILL to the server's processes for all sessions, to their commands as well if wanted. */
  killSessions(withCommands: boolean): void;
  /** Names of the effects that have begun at the station. */
  effects(operationId: string): Promise<readonly string[]>;
  processesOf(effect: string): Promise<EffectProcesses>;
  /** What runs at the station for an update. */
  running(): readonly RunningProcess[];
}

async function pidIn(file: string): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const pid = Number(text.split(' ')[0]);
  return pid > 1 ? pid : undefined;
}

export async function openLane(cleanup: Cleanup, kind: ChargerKind, dir: string): Promise<Lane> {
  await mkdir(dir, { recursive: true });
  const sshd = await startSshd({ dir: join(dir, 'sshd') });
  cleanup.teardown(() => sshd.stop());
  const proxy = await openProxy(sshd.port);
  cleanup.teardown(() => proxy.close());
  await appendFile(sshd.knownHostsFile, `[127.0.0.1]:${proxy.port} ${sshd.hostPublicKey}\n`);
  const stateDir = join(dir, 'state');
  const stateDisk = await mountSmallDisk(cleanup, stateDir, STATE_BYTES);
  const charger = await kind.start(cleanup, join(dir, 'charger'), stateDir);
  const running = (): readonly RunningProcess[] =>
    processesWith([`${charger.dir}/`, `${stateDir}/`]).filter(({ commandLine }) => !charger.isOwn(commandLine));
  cleanup.teardown(() => {
    for (const { pid } of running()) killHard(pid);
  });
  const effectsDir = join(stateDir, 'effects');
  return {
    charger,
    proxy,
    stateDisk,
    entry: (transport) => ({
      ...charger.entry,
      ...(transport === 'ssh' ? overSsh({ ...sshd, port: proxy.port }) : { transport }),
    }),
    killSessions: (withCommands) => killSessions(sshd, withCommands),
    async effects(operationId) {
      const names = await readdir(effectsDir).catch(() => []);
      const own = names.filter((name) => name.startsWith(`${operationId}.`));
      const begun = await Promise.all(own.map((name) => pidIn(join(effectsDir, name, 'begun'))));
      return own.filter((_name, index) => begun[index] !== undefined).sort();
    },
    async processesOf(effect) {
      const [runner, commandGroup] = await Promise.all(
        ['begun', 'child'].map((name) => pidIn(join(effectsDir, effect, name))),
      );
      return { runner, commandGroup };
    },
    running,
  };
}
