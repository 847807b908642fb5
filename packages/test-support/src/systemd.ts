/**
 * A real systemd as PID 1, in namespaces over this machine's own files: what is written there is gone with it, but in one
 * shared folder. Its network is ours. Needs root, and a cgroup2 that may be written.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Child, startChild } from './children.js';
import { awaitUntil } from './events.js';

const READY_MS = 60_000;
const PROGRAM = '/lib/systemd/systemd';

/** The units of this machine are left out; nothing of it reaches the kernel's settings, which are no namespace's. */
const BOOT = `
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$D/own"
mkdir "$D/own/up" "$D/own/work" "$D/own/root"
R=$D/own/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$D/own/up,workdir=$D/own/work" "$R"
rm -rf "$R"/usr/lib/systemd/system/*.wants "$R"/etc/systemd/system
mkdir -p "$R/etc/systemd/system"
mount -t proc proc "$R/proc"
mount --bind "$R/proc/sys" "$R/proc/sys"
mount -o remount,bind,ro "$R/proc/sys"
mount -t sysfs -o ro sysfs "$R/sys"
mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"
mount -t tmpfs tmpfs "$R/run"
mount --rbind /dev "$R/dev"
mkdir -p "$R/run/systemd/system" "$R/run/sshd" "$R/run/old"
cat /proc/sys/kernel/random/uuid >"$R/run/boot_id"
mount --bind "$R/run/boot_id" "$R/proc/sys/kernel/random/boot_id"
cp "$D"/units/* "$R/run/systemd/system/"
mkdir -p "$R$S"
mount --bind "$S" "$R$S"
cd "$R"
pivot_root . run/old
umount -l /run/old
exec env -i container=khumbu PATH=/usr/sbin:/usr/bin:/sbin:/bin ${PROGRAM} --system --unit=khumbu-test.target --log-target=null
`;

/** systemd goes to its bus once both of these names run. */
const BUS = {
  'dbus.socket': `[Unit]
DefaultDependencies=no
[Socket]
ListenStream=/run/dbus/system_bus_socket
`,
  'dbus.service': `[Unit]
DefaultDependencies=no
Requires=dbus.socket
[Service]
ExecStart=/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation
`,
};

/** Where cgroup2 is mounted. */
function cgroupRoot(): string | undefined {
  const line = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .find((mount) => mount.split(' ')[2] === 'cgroup2');
  return line?.split(' ')[1];
}

export interface SystemdOptions {
  readonly dir: string;
  /** A folder that both see. */
  readonly share: string;
  /** Started with it: the text of a unit by its name. */
  readonly units?: Readonly<Record<string, string>>;
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const runHere = (command: string, args: readonly string[]): Promise<Ran> =>
  new Promise((resolve) => {
    execFile(command, [...args], { timeout: READY_MS }, (error, stdout, stderr) => {
      const code = error ? (typeof error.code === 'number' ? error.code : -1) : 0;
      resolve({ code, stdout, stderr });
    });
  });

/** Why there is none here; `undefined`: there is one. */
export async function whyNoSystemd(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'not root';
  if (!existsSync(PROGRAM) || !existsSync('/usr/bin/dbus-daemon')) return 'there is no systemd, or no dbus-daemon';
  const root = cgroupRoot();
  if (root === undefined) return 'there is no cgroup2';
  const probe = join(root, `khumbu-probe-${randomUUID()}`);
  try {
    mkdirSync(probe);
    rmdirSync(probe);
  } catch {
    return 'cgroups cannot be made';
  }
  const inside =
    'mount -t tmpfs tmpfs /mnt && mkdir /mnt/u /mnt/w /mnt/r && mount -t overlay o -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/r';
  const { code } = await runHere('unshare', [...APART, 'sh', '-c', inside]);
  return code === 0 ? undefined : 'namespaces, or overlays of files, cannot be made';
}

const APART = ['--mount', '--pid', '--fork', '--uts', '--ipc', '--cgroup', '--kill-child'];

async function removeCgroup(path: string): Promise<void> {
  const below = await readdir(path, { withFileTypes: true }).catch(() => []);
  for (const entry of below) if (entry.isDirectory()) await removeCgroup(join(path, entry.name));
  rmdirSync(path);
}

export async function startSystemd({ dir, share, units = {} }: SystemdOptions) {
  await mkdir(join(dir, 'own'), { recursive: true });
  await mkdir(join(dir, 'units'), { recursive: true });
  const names = Object.keys(units);
  const target = `[Unit]\nDefaultDependencies=no\nWants=${['dbus.service', ...names].join(' ')}\n`;
  const all = { 'khumbu-test.target': target, ...BUS, ...units };
  for (const [name, text] of Object.entries(all)) await writeFile(join(dir, 'units', name), text);
  const cgroup = join(cgroupRoot() ?? '', `khumbu-test-${randomUUID()}`);
  mkdirSync(cgroup);

  let child: Child;
  let boots = 0;
  let isStopping = false;
  let pid = 0;

  const enter = (argv: readonly string[]): string[] => [
    '-t',
    String(pid),
    '-m',
    '-p',
    '-u',
    '-i',
    '-C',
    '-r',
    '-w',
    '--',
    ...argv,
  ];
  const run = (...argv: string[]): Promise<Ran> => runHere('nsenter', enter(argv));

  const boot = async (): Promise<void> => {
    const line = `echo $$ >"$C/cgroup.procs"; exec unshare ${APART.join(' ')} sh -c "$B"`;
    const env = { ...process.env, D: dir, S: share, C: cgroup, B: BOOT };
    child = await startChild('sh', ['-c', line], { env });
    const own = child;
    void own.exited.then(() => {
      if (!isStopping && own === child) return boot();
    });
    await awaitUntil(
      async () => {
        if (own.exit()) throw new Error(`systemd did not start: ${own.output()}`);
        pid = Number(readFileSync(`/proc/${own.pid}/task/${own.pid}/children`, 'utf8').trim().split(' ')[0] ?? 0);
        return pid > 0 && (await run('systemctl', 'is-active', 'khumbu-test.target')).stdout === 'active\n';
      },
      READY_MS,
      'systemd to be up',
    );
    boots += 1;
  };
  await boot();

  return {
    /** How often it has come up. */
    boots: () => boots,
    /** Run a program inside. */
    run,
    async stop(): Promise<void> {
      isStopping = true;
      await child.end('SIGKILL');
      await awaitUntil(
        async () => {
          await removeCgroup(cgroup).catch(() => {});
          return !existsSync(cgroup);
        },
        READY_MS,
        'the cgroup to go',
      );
      await rm(dir, { recursive: true, force: true });
    },
  };
}
