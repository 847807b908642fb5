/**
 * A user with a password for server programs that ask the system: what they see of /etc is a copy of ours with one user more,
 * in a mount namespace of their own.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync } from 'node:fs';
import { copyFile, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Nobody's, on any Debian. */
const ID = 61_234;
/** What useradd and its like have there for a moment. */
const IN_BETWEEN = /(?:\.lock|[-+]|\.\d+)$/;
const PAM_SERVICE = 'khumbu-test';
const PAM = 'auth required pam_unix.so nodelay\naccount required pam_permit.so\nsession required pam_permit.so\n';
const ENTER = `set -e
mount --make-rprivate /
mount --bind "$0" /etc
exec "$@"`;

export interface Account {
  readonly user: string;
  readonly password: string;
  /** Its home folder, and of its files. */
  readonly home: string;
  readonly pamService: string;
  readonly id: number;
  /** What a program is started by, so that it knows the user. */
  readonly enter: readonly [command: string, ...args: string[]];
}

/** Whether such programs can be started here: as root, where mounts of one's own are allowed. */
export function hasAccounts(): boolean {
  try {
    execFileSync('unshare', ['-m', 'mount', '--make-rprivate', '/'], { stdio: 'ignore' });
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

/** `crypt` of a password, as `shadow` and `AuthUserFile` have it. */
export const cryptOf = (password: string): string =>
  execFileSync('openssl', ['passwd', '-6', '-stdin'], { input: password, encoding: 'utf8' }).trim();

/** `dir` is passed through by the user: its folders must be open to all. Safe to repeat. */
export async function makeAccount(dir: string, user: string, password: string): Promise<Account> {
  const [home, etc] = [join(dir, 'home'), join(dir, 'etc')];
  await mkdir(home, { recursive: true });
  // The whole of it: over a single file a mount is undone by whoever renames a new one there, as useradd does, in any namespace.
  const filter = (path: string): boolean => !IN_BETWEEN.test(path);
  await cp('/etc', etc, { recursive: true, verbatimSymlinks: true, filter });
  chmodSync(dir, 0o755);
  chmodSync(home, 0o755);
  chownSync(home, ID, ID);
  const add = async (name: string, line: string, mode: number): Promise<void> => {
    await copyFile(join('/etc', name), join(etc, name));
    await writeFile(join(etc, name), `${(await readFile(join('/etc', name), 'utf8')).trimEnd()}\n${line}\n`);
    chmodSync(join(etc, name), mode);
  };
  await add('passwd', `${user}:x:${ID}:${ID}:${user}:${home}:/bin/sh`, 0o644);
  await add('group', `${user}:x:${ID}:`, 0o644);
  await add('shadow', `${user}:${cryptOf(password)}:19000:0:99999:7:::`, 0o600);
  for (const service of [PAM_SERVICE, 'sshd']) await writeFile(join(etc, 'pam.d', service), PAM);
  return { user, password, home, pamService: PAM_SERVICE, id: ID, enter: ['unshare', '-m', 'sh', '-c', ENTER, etc] };
}
