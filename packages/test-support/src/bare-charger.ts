/**
 * A charger with nothing on it but Debian: a copy of this very system that is made as it is written to, in namespaces of its
 * own, behind its own sshd with host keys of its own. What is done there leaves no trace here: users, files, processes. It can
 * neither set the clock nor restart the machine. Needs root and Linux.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answersOn } from '@khumbu/shared/runtime/free-port';
import { startServer } from './server.js';
import { hasSshd, makeKey } from './sshd.js';

const OF_ITS_OWN = ['--mount', '--pid', '--fork'];
/** Its host key is made anew each time, and nobody else can be there. */
const SSH_OPTIONS = '-F none -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no -o LogLevel=ERROR'.split(' ');

/** ROOT PORT KEY CONFIG: becomes the sshd of the charger, which is the first process in it. */
const BOOT = `
set -e
root=$1
mount --make-rprivate /
mount -t tmpfs -o mode=755 charger "$root"
mkdir "$root/upper" "$root/work" "$root/all"
mount -t overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" overlay "$root/all"
mount -t proc proc "$root/all/proc"
for each in dev sys; do mount --rbind "/$each" "$root/all/$each"; done
mount -t tmpfs -o mode=755 run "$root/all/run"
mount -t tmpfs -o mode=1777 tmp "$root/all/tmp"
shift
exec chroot "$root/all" /bin/sh -ec '
  rm -rf /etc/ssh/ssh_host_* /root/.ssh /etc/sudoers.d/*
  ssh-keygen -q -A
  mkdir -p /run/sshd
  mkdir -m 700 /root/.ssh
  echo "$2" >/root/.ssh/authorized_keys
  echo "$3" >/etc/ssh/sshd_config.d/charger.conf
  exec setpriv --bounding-set=-sys_time,-sys_boot /usr/sbin/sshd -D -e -p "$1" -o ListenAddress=127.0.0.1
' charger "$@"
`;

/** Why there can be none here; `undefined`: there can. */
export function whyNoBareCharger(): string | undefined {
  if (!hasSshd()) return 'there is no sshd';
  if (process.getuid?.() !== 0) return 'it needs root';
  try {
    execFileSync('unshare', [...OF_ITS_OWN, 'true'], { stdio: 'ignore' });
    return /\boverlay\b/.test(readFileSync('/proc/filesystems', 'utf8')) ? undefined : 'there is no overlayfs';
  } catch {
    return 'no namespaces can be made here';
  }
}

export interface BareChargerOptions {
  /** For our files; the charger keeps its own in memory. */
  readonly dir: string;
  /** Lines of its sshd_config, before those of Debian. */
  readonly config?: readonly string[];
}

export async function startBareCharger({ dir, config = [] }: BareChargerOptions) {
  const root = join(dir, 'root');
  const key = join(dir, 'root_key');
  const boot = join(dir, 'boot.sh');
  mkdirSync(root, { recursive: true, mode: 0o700 });
  makeKey(key);
  writeFileSync(boot, BOOT);
  const publicKey = readFileSync(`${key}.pub`, 'utf8').trim();
  const server = await startServer({
    command: 'unshare',
    args: (port) => [...OF_ITS_OWN, '--kill-child=KILL', 'sh', boot, root, String(port), publicKey, config.join('\n')],
    answers: (port) => answersOn(port, 'SSH-2.0-test\r\n', 'SSH-2.0'),
  });
  const shell: readonly string[] = ['ssh', ...SSH_OPTIONS, '-i', key, '-p', String(server.port), 'root@127.0.0.1'];
  return {
    port: server.port,
    /** The command that opens a shell of root there; words after it are run there. */
    shell,
    /** Run a line of shell there, as root; what it prints. Throws when it fails. */
    run: (line: string): string => execFileSync(shell[0] ?? '', [...shell.slice(1), line]).toString('utf8'),
    output: () => server.output(),
    /** All of it is gone, as when its power is cut. Safe to repeat. */
    stop: () => server.kill(),
  };
}
