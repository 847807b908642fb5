/**
 * A real SWUpdate with its daemon in a mount namespace of its own: /etc has the configuration of a U-Boot environment in two
 * files, for its path is fixed. Two files are the slots. Needs root.
 */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '@khumbu/shared/runtime/errors';
import type { SwupdateSettings } from '@khumbu/shared/stations/driver-entry';
import { type Child, startChild } from './children.js';
import { awaitUntil } from './events.js';
import { makeSwu, type SwuOptions } from './swu.js';

const READY_MS = 30_000;
const PROGRAMS = ['swupdate', 'swupdate-client', 'fw_printenv', 'cpio', 'unshare', 'nsenter'];

export const hasSwupdate = (): boolean =>
  process.getuid?.() === 0 && PROGRAMS.every((name) => existsSync(`/usr/bin/${name}`));

export interface SwuImage {
  readonly path: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

export type SlotName = 'a' | 'b';

export interface SwupdateStation {
  readonly dir: string;
  /** A program as it is called in the station's own file system. */
  inside(...argv: readonly string[]): readonly string[];
  /** Restarts the host as far as SWUpdate can tell: the slot that the bootloader names runs, the boot id is another one. */
  readonly reboot: readonly string[];
  /** What the stations file says of it. */
  readonly settings: SwupdateSettings;
  readonly bootIdFile: string;
  readonly publicKey: string;
  image(name: string, change?: Partial<SwuOptions>): Promise<SwuImage>;
  /** A script in each image waits before anything is written, until it is let. */
  let(): Promise<void>;
  /**
   * Say a fact: `fall-back` (the new slot does not come up), `post-fails` (a script after the images fails with that exit
   * code, having made the new slot the next to boot).
   */
  set(fact: string, value?: string): Promise<void>;
  unset(fact: string): Promise<void>;
  /** A variable of the bootloader, empty where there is none; set it. */
  variable(name: string): string;
  setVariable(name: string, value: string): void;
  slot(name: SlotName): Promise<Buffer>;
  /** How often an installation has begun to write. */
  begun(): Promise<number>;
  daemonPid(): Promise<number>;
  /** SIGKILL to the daemon; resolves when another one listens, unless it is to stay away. */
  killDaemon(stay?: boolean): Promise<void>;
  stop(): Promise<void>;
}

export interface SwupdateOptions {
  /** Arguments of the daemon, by the key of images; default: as a maker has them. `none`: there is no daemon. */
  readonly daemon?: ((publicKey: string) => readonly string[]) | 'none';
  /** Bytes of its TMPDIR; default: there is no limit. */
  readonly tmpBytes?: number;
}

const usual = (key: string): readonly string[] => [
  '-v',
  '-B',
  'uboot',
  '-k',
  key,
  '-q',
  'stable,copy-a',
  '-q',
  'stable,copy-b',
];

/** Ends with the test; a daemon that was killed is begun again, as its unit does. */
const HOST = `
mkdir "$D/etc"
cp -a /etc/. "$D/etc/"
printf '%s 0x0 0x4000\\n' "$D/env-1" "$D/env-2" >"$D/etc/fw_env.config"
echo 'board 1.0' >"$D/etc/hwrevision"
mount --bind "$D/etc" /etc
printf 'slot=a\\n' >"$D/initial"
fw_setenv -f "$D/initial" slot a
echo $$ >"$D/host.part"; mv "$D/host.part" "$D/host.pid"
export TMPDIR="$D/tmp"
while [ ! -e "$D/stop" ]; do
  if [ "$#" -gt 0 ]; then
    setpriv --pdeathsig KILL swupdate "$@" >>"$D/daemon.log" 2>&1 &
    echo $! >"$D/daemon.part"; mv "$D/daemon.part" "$D/daemon.pid"
    wait
  else
    sleep 1
  fi
  while [ -e "$D/stay-away" ] && [ ! -e "$D/stop" ]; do sleep 0.1; done
done`;
const REBOOT = `
# Whole at any moment: somebody may just ask which slot runs.
[ -e "$D/fall-back" ] || { fw_printenv -n slot >"$D/running.part" && mv "$D/running.part" "$D/running"; }
fw_setenv slot "$(cat "$D/running")"
cp /proc/sys/kernel/random/uuid "$D/boot.part"; mv "$D/boot.part" "$D/boot"`;
const VERSION = `head -n 1 "$D/slot-$(cat "$D/running")"`;

async function program(dir: string, name: string, body: string): Promise<string> {
  const file = join(dir, name);
  await writeFile(file, `#!/bin/sh\nD='${dir}'\n${body}\n`);
  await chmod(file, 0o755);
  return file;
}

/** Whether somebody listens on a socket. */
async function isHeard(path: string): Promise<boolean> {
  const lines = (await readFile('/proc/net/unix', 'utf8')).split('\n');
  return lines.some((line) => line.endsWith(` ${path}`) && line.includes(' 00010000 '));
}

async function writeFiles(dir: string): Promise<void> {
  const at = (name: string): string => join(dir, name);
  const subject = ['-subj', '/CN=signer', '-addext', 'extendedKeyUsage=emailProtection'];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', ['req', '-x509', ...key, '-keyout', at('key.pem'), '-out', at('cert.pem'), ...subject], {
    stdio: 'ignore',
  });
  for (const name of ['env-1', 'env-2']) await writeFile(at(name), Buffer.alloc(0x4000));
  for (const [name, text] of Object.entries({ running: 'a', boot: 'b1', begun: '' })) await writeFile(at(name), text);
  for (const slot of ['a', 'b']) await writeFile(at(`slot-${slot}`), `0.9\n${slot.repeat(3_000_000)}`);
}

export async function startSwupdate({ daemon, tmpBytes = 0 }: SwupdateOptions = {}): Promise<SwupdateStation> {
  // Names of sockets are short.
  const dir = await mkdtemp(join(tmpdir(), 'swu-'));
  const at = (name: string): string => join(dir, name);
  await writeFiles(dir);
  await mkdir(at('tmp'));
  if (tmpBytes > 0) execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${tmpBytes}`, 'tmpfs', at('tmp')]);
  const args = daemon === 'none' ? [] : (daemon ?? usual)(at('cert.pem'));
  const reboot = await program(dir, 'reboot', REBOOT);
  const version = await program(dir, 'version', VERSION);
  const script = await program(dir, 'host', HOST);
  const host: Child = await startChild('unshare', ['-m', 'sh', script, ...args]);
  // Two threads of the daemon open them, in no order.
  const daemonIsThere = async (): Promise<boolean> =>
    existsSync(at('tmp/swupdateprog')) && (await isHeard(at('tmp/sockinstctrl')));
  const ready = async (): Promise<boolean> =>
    existsSync(at('host.pid')) && (args.length === 0 || (await daemonIsThere()));
  await awaitUntil(ready, READY_MS, 'SWUpdate').catch((error: unknown) => {
    throw new Error(`${host.output()}`, { cause: error });
  });
  const hostPid = (await readFile(at('host.pid'), 'utf8')).trim();
  const inside = (...argv: readonly string[]): readonly string[] => [
    'nsenter',
    `--mount=/proc/${hostPid}/ns/mnt`,
    ...argv,
  ];
  const call = (...argv: readonly string[]): string => {
    const [file = '', ...rest] = inside(...argv);
    return execFileSync(file, rest).toString('utf8').trim();
  };
  const daemonPid = async (): Promise<number> => Number(await readFile(at('daemon.pid'), 'utf8'));
  const killOne = (pid: number): void => {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // It went by itself.
      if (!hasCode(error, 'ESRCH')) throw error;
    }
  };
  return {
    dir,
    inside,
    reboot: inside(reboot),
    settings: {
      client: [...inside('swupdate-client')],
      control_socket: at('tmp/sockinstctrl'),
      running_slot: ['cat', at('running')],
      version: [version],
      boot_variables: ['slot', 'upgrade_available'],
      selections: { a: 'stable,copy-a', b: 'stable,copy-b' },
      read_variable: [...inside('fw_printenv', '-n')],
      write_variable: [...inside('fw_setenv')],
    },
    bootIdFile: at('boot'),
    publicKey: at('cert.pem'),
    async image(name, change = {}) {
      const path = await makeSwu(dir, name, change);
      const bytes = await readFile(path);
      return { path, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    },
    let: () => writeFile(at('go'), ''),
    set: (fact, value = '') => writeFile(at(fact), value),
    unset: (fact) => rm(at(fact), { force: true }),
    variable: (name) => call('fw_printenv', '-n', name),
    setVariable: (name, value) => void call('fw_setenv', name, value),
    slot: (name) => readFile(at(`slot-${name}`)),
    begun: async () => (await readFile(at('begun'), 'utf8')).split('\n').length - 1,
    daemonPid,
    async killDaemon(stay = false) {
      if (stay) await writeFile(at('stay-away'), '');
      const before = await daemonPid();
      killOne(before);
      const isAway = async () => !(await isHeard(at('tmp/sockinstctrl')));
      const isBack = async () => (await daemonPid()) !== before && !(await isAway());
      await awaitUntil(stay ? isAway : isBack, READY_MS, 'the daemon');
    },
    async stop() {
      await writeFile(at('stop'), '');
      await writeFile(at('go'), '');
      if (args.length > 0) killOne(await daemonPid());
      await host.end('SIGTERM');
      if (tmpBytes > 0) execFileSync('umount', ['-l', at('tmp')]);
      spawn('rm', ['-rf', dir], { stdio: 'ignore' }).unref();
    },
  };
}
