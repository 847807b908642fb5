/** A real SSH server on a free loopback port, with host keys of its own: OpenSSH. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { answersOn } from '@khumbu/shared/runtime/free-port';
import { type ServerProgram, startServer } from './server.js';

const SSHD = ['/usr/sbin/sshd', '/usr/local/sbin/sshd', '/usr/bin/sshd'].find((path) => existsSync(path));

export interface SshdLogin {
  readonly user: string;
  readonly privateKeyFile: string;
  /** Pins its host key. */
  readonly knownHostsFile: string;
  readonly hostPublicKey: string;
}

export interface Sshd extends ServerProgram, SshdLogin {}

export interface SshdOptions {
  /** For its files, and the home folder of its sessions. */
  readonly dir: string;
  /** More lines of its config file. */
  readonly config?: readonly string[];
}

/** Whether it is installed. */
export const hasSshd = (): boolean => SSHD !== undefined;

/** An ed25519 key without a passphrase, and its `.pub`. Safe to repeat. */
export function makeKey(file: string): void {
  if (!existsSync(file)) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]);
}

/** The files of a server, and how it is called: for one that is started elsewhere. Rejects where there is no sshd. */
export async function sshdFiles({ dir, config = [] }: SshdOptions) {
  if (SSHD === undefined) throw new Error('there is no sshd');
  const home = join(dir, 'home');
  await mkdir(home, { recursive: true });
  await chmod(dir, 0o700);
  const [hostKey, ours, known] = ['host_key', 'our_key', 'known_hosts'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  makeKey(hostKey);
  makeKey(ours);
  const hostPublicKey = (await readFile(`${hostKey}.pub`, 'utf8')).split(' ').slice(0, 2).join(' ');
  const configFile = (port: number): string => join(dir, `sshd-${port}.conf`);
  const textOf = (port: number): string =>
    [
      // The first of several lines counts.
      ...config,
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${hostKey}`,
      `AuthorizedKeysFile ${ours}.pub`,
      'PidFile none',
      'StrictModes no',
      'UsePAM no',
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'MaxStartups 200:30:400',
      // Not that of whoever runs the tests: shells read files there.
      `SetEnv HOME=${home}`,
      '',
    ].join('\n');
  const login: SshdLogin = {
    user: userInfo().username,
    privateKeyFile: ours,
    knownHostsFile: known,
    hostPublicKey,
  };
  return {
    command: SSHD,
    args: (port: number): string[] => ['-D', '-e', '-f', configFile(port)],
    async prepare(port: number): Promise<void> {
      await writeFile(configFile(port), textOf(port));
      // Whoever reads it while the server is started again finds it whole.
      const line = `[127.0.0.1]:${port} ${hostPublicKey}\n`;
      const isPinned = existsSync(known) && (await readFile(known, 'utf8')).includes(`]:${port}`);
      if (!isPinned) await writeFile(known, line);
    },
    answers: (port: number) => answersOn(port, 'SSH-2.0-test\r\n', 'SSH-2.0'),
    login,
  };
}

export async function startSshd(options: SshdOptions): Promise<Sshd> {
  const { login, ...files } = await sshdFiles(options);
  // Its folder for separated privileges is made by a package's start script elsewhere.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  return Object.assign(await startServer(files), login);
}

/** Children of a process; none of one that has ended. */
function childrenOf(pid: number): readonly number[] {
  const tasks = '/proc/"$1"/task/*/children';
  const children = execFileSync('sh', ['-c', `cat ${tasks} 2>/dev/null || :`, 'sh', String(pid)]);
  return children
    .toString('utf8')
    .trim()
    .split(/\s+/)
    .filter((each) => each !== '')
    .map(Number);
}

/** Processes of the server for the sessions that are open now, and, if wanted, the commands that they run. */
export const sessionPids = (server: ServerProgram, withCommands = false): readonly number[] =>
  childrenOf(server.pid).flatMap((pid) => (withCommands ? [pid, ...childrenOf(pid)] : [pid]));

/** SIGKILL to all of these. */
export function killSessions(server: ServerProgram, withCommands = true): void {
  for (const pid of sessionPids(server, withCommands)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // It went by itself.
      if (!hasCode(error, 'ESRCH')) throw error;
    }
  }
}

/** How a station behind it is reached: the part of `driver` in the stations file that is the same for every profile. */
export const overSsh = (sshd: SshdLogin & { readonly port: number }) =>
  ({
    transport: 'ssh',
    host: '127.0.0.1',
    port: sshd.port,
    user: sshd.user,
    private_key_file: sshd.privateKeyFile,
    known_hosts_file: sshd.knownHostsFile,
  }) as const;
