/** The programs npm cannot bring: found, or on Debian and Ubuntu installed, or asked for in one line. */
import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { tellWhile } from './progress.js';

const run = promisify(execFile);

interface Program {
  /** Any of these will do. */
  readonly commands: readonly string[];
  readonly debianPackage: string;
  /** Where Homebrew calls it otherwise. */
  readonly brewPackage?: string;
  /** The unit the package would start at the next boot. */
  readonly unit?: string;
}

const ofOneName = (name: string): Program => ({ commands: [name], debianPackage: name });
export const PROGRAMS = {
  redis: {
    commands: ['redis-server', 'valkey-server'],
    debianPackage: 'redis-server',
    brewPackage: 'redis',
    unit: 'redis-server',
  },
  mosquitto: { ...ofOneName('mosquitto'), unit: 'mosquitto' },
  mosquitto_pub: { ...ofOneName('mosquitto_pub'), debianPackage: 'mosquitto-clients', brewPackage: 'mosquitto' },
  openssl: ofOneName('openssl'),
  curl: ofOneName('curl'),
  tinyproxy: { ...ofOneName('tinyproxy'), unit: 'tinyproxy' },
  sshd: { ...ofOneName('sshd'), debianPackage: 'openssh-server', brewPackage: 'openssh', unit: 'ssh' },
  sudo: ofOneName('sudo'),
  shellcheck: ofOneName('shellcheck'),
  rauc: ofOneName('rauc'),
  mksquashfs: { ...ofOneName('mksquashfs'), debianPackage: 'squashfs-tools', brewPackage: 'squashfs' },
  'dbus-daemon': { ...ofOneName('dbus-daemon'), brewPackage: 'dbus' },
  busybox: ofOneName('busybox'),
  chronyd: { ...ofOneName('chronyd'), debianPackage: 'chrony', brewPackage: 'chrony', unit: 'chrony' },
  swupdate: ofOneName('swupdate'),
  fw_printenv: { ...ofOneName('fw_printenv'), debianPackage: 'libubootenv-tool' },
  cpio: ofOneName('cpio'),
  bsdtar: { ...ofOneName('bsdtar'), debianPackage: 'libarchive-tools', brewPackage: 'libarchive' },
  '7z': { ...ofOneName('7z'), debianPackage: 'p7zip-full', brewPackage: 'p7zip' },
  zstd: ofOneName('zstd'),
  zsh: ofOneName('zsh'),
  chromium: { ...ofOneName('chromium'), commands: ['chromium', 'chromium-browser', 'google-chrome'] },
  faketime: { ...ofOneName('faketime'), brewPackage: 'libfaketime' },
} as const satisfies Record<string, Program>;
export type ProgramName = keyof typeof PROGRAMS;

/** Servers are often outside the PATH of an ordinary user. */
const EXTRA_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/opt/homebrew/sbin'];
const INSTALL_TIMEOUT_MS = 170_000;
const POLICY = '/usr/sbin/policy-rc.d';

export interface ProgramsOptions {
  readonly path?: string | undefined;
  readonly say: (line: string) => void;
  /** For lines of progress; default: `say`. */
  readonly progress?: ((line: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The file of a command, `undefined` if there is none. */
export function findCommand(commands: readonly string[], path = process.env.PATH ?? ''): string | undefined {
  const folders = [...path.split(delimiter).filter((folder) => folder !== ''), ...EXTRA_FOLDERS];
  for (const command of commands) {
    const found = folders.map((folder) => join(folder, command)).find(isExecutable);
    if (found) return found;
  }
  return undefined;
}

const canInstall = (): boolean =>
  existsSync('/etc/debian_version') && process.getuid?.() === 0 && findCommand(['apt-get']) !== undefined;

/** The last line by which apt says what is wrong. */
const aptReason = (error: unknown): string => {
  const output = (error as { stderr?: string }).stderr ?? '';
  const lines = output.split('\n').filter((line) => line.startsWith('E: '));
  return lines.at(-1)?.slice(3) ?? describeError(error).split('\n', 1)[0] ?? 'unknown reason';
};

/** Install packages without questions, and without letting them start servers of their own. */
async function aptInstall(missing: readonly Program[], options: ProgramsOptions): Promise<void> {
  const packages = missing.map((program) => program.debianPackage);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', LC_ALL: 'C.UTF-8' };
  const settings = { env, signal: options.signal, timeout: INSTALL_TIMEOUT_MS, maxBuffer: 64 * 1024 * 1024 };
  const wait = ['-o', 'DPkg::Lock::Timeout=60', '-q'];
  const ownPolicy = !existsSync(POLICY);
  if (ownPolicy) writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    const progress = options.progress ?? options.say;
    const what = `Installing ${packages.join(', ')} with apt-get`;
    progress(`${what} (once) ...`);
    const install = async (): Promise<void> => {
      await run('apt-get', [...wait, 'update'], settings);
      await run('apt-get', [...wait, 'install', '-y', '--no-install-recommends', ...packages], settings);
    };
    await tellWhile(progress, () => what, install());
  } finally {
    if (ownPolicy) rmSync(POLICY, { force: true });
  }
  const units = missing.flatMap((program) => program.unit ?? []);
  if (units.length > 0 && findCommand(['systemctl'])) {
    await run('systemctl', ['disable', '--quiet', ...units]).catch((error: unknown) => {
      options.say(
        `The packages may start their own servers at the next boot: ${describeError(error).split('\n', 1)[0]}`,
      );
    });
  }
}

function howToInstall(missing: readonly Program[]): string {
  const debian = missing.map((program) => program.debianPackage).join(' ');
  const brew = missing.map((program) => program.brewPackage ?? program.debianPackage).join(' ');
  const sudo = process.getuid?.() === 0 ? '' : 'sudo ';
  return `install with "${sudo}apt-get install -y ${debian}" (Debian, Ubuntu) or "brew install ${brew}" (macOS), then start again`;
}

/** Where each program is. Rejects with `PROGRAM_MISSING`, which says what to install. */
export async function findPrograms<N extends ProgramName>(
  names: readonly N[],
  options: ProgramsOptions,
): Promise<Record<N, string>> {
  const found = (): [N, string | undefined][] =>
    names.map((name) => [name, findCommand(PROGRAMS[name].commands, options.path)]);
  const absent = (): Program[] => found().flatMap(([name, file]) => (file ? [] : [PROGRAMS[name]]));
  let missing = absent();
  let why = '';
  if (missing.length > 0 && canInstall()) {
    try {
      await aptInstall(missing, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      why = ` and could not be installed (${aptReason(error)})`;
    }
    missing = absent();
  }
  if (missing.length > 0) {
    const list = missing.map((program) => program.commands[0]).join(', ');
    throw new CodedError('PROGRAM_MISSING', `${list} not found${why}: ${howToInstall(missing)}`);
  }
  return Object.fromEntries(found()) as Record<N, string>;
}
