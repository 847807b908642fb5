/** A real RAUC with its service on a bus of its own, two files for slots, and a bootloader of three files. Needs root. */
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { type Child, startChild } from './children.js';
import { awaitUntil } from './events.js';

const READY_MS = 15_000;
const COMMAND_MS = 60_000;

export const hasRauc = (): boolean =>
  process.getuid?.() === 0 && ['/usr/bin/rauc', '/usr/bin/dbus-daemon', '/usr/bin/mksquashfs'].every(existsSync);

export interface RaucBundle {
  readonly path: string;
  readonly sha256: string;
  readonly sizeBytes: number;
}

export interface RaucStation {
  readonly dir: string;
  /** The client, as an argument vector. */
  readonly program: readonly string[];
  /** Restarts the host as far as RAUC can tell: the slot that the bootloader names runs, the boot id is another one. */
  readonly reboot: readonly string[];
  readonly bootIdFile: string;
  bundle(name: string, change?: Partial<BundleOptions>): Promise<RaucBundle>;
  /** A handler of RAUC waits before it writes, until it is let. */
  let(): Promise<void>;
  /** Say a fact: `fall-back` (the new slot does not come up), `post-fails` (exit code of the handler after the install). */
  set(fact: string, value?: string): Promise<void>;
  unset(fact: string): Promise<void>;
  /** The slot that the bootloader would start: A or B. */
  primary(): Promise<string>;
  slot(name: 'A' | 'B'): Promise<Buffer>;
  /** SIGKILL to the service; another one takes its place unless `stay`. */
  killService(stay?: boolean): Promise<void>;
  startService(): Promise<void>;
  stop(): Promise<void>;
}

interface BundleOptions {
  readonly compatible: string;
  /** Extensions of the signer's certificate, as openssl takes them. */
  readonly extensions: readonly string[];
  /** Days from now until which it is valid. */
  readonly days: number;
}

export interface RaucOptions {
  /** `noop`: the bootloader tells nothing. */
  readonly bootloader?: 'custom' | 'noop';
}

const BACKEND = `
case $1 in
get-primary) cat "$D/primary" ;;
set-primary) echo "$2" >"$D/primary" ;;
get-state) cat "$D/state-$2" ;;
set-state) echo "$3" >"$D/state-$2" ;;
esac`;
const PRE = `
echo install >>"$D/begun"
while [ ! -e "$D/go" ]; do [ -d "$D" ] || exit 1; sleep 0.05; done
rm -f "$D/go"`;
const POST = `[ ! -e "$D/post-fails" ] || exit "$(cat "$D/post-fails")"`;
/** Ends with the test: a service that was killed is begun again, as its unit does. */
const SERVICE = `
while [ ! -e "$D/stop" ]; do
  rauc --conf="$D/system.conf" --override-boot-slot="$(cat "$D/booted")" service >>"$D/service.log" 2>&1 &
  echo $! >"$D/service.pid"
  wait
  while [ -e "$D/stay-away" ] && [ ! -e "$D/stop" ]; do sleep 0.1; done
done`;
const REBOOT = `
[ -e "$D/fall-back" ] || cp "$D/primary" "$D/booted"
cp "$D/booted" "$D/primary"
pid=$(cat "$D/service.pid")
kill "$pid"
# A host that is down answers nothing: not as from the slot before.
tries=0
while kill -0 "$pid" 2>/dev/null; do
  tries=$((tries + 1))
  [ "$tries" -lt 600 ] || kill -9 "$pid"
  sleep 0.05
done
cp /proc/sys/kernel/random/uuid "$D/boot.part"; mv "$D/boot.part" "$D/boot"`;

const systemConf = (dir: string, bootloader: string): string => `[system]
compatible=khumbu-test
bootloader=${bootloader}
statusfile=${dir}/central.status
mountprefix=${dir}/mnt
[keyring]
path=${dir}/cert.pem
[handlers]
${bootloader === 'custom' ? `bootloader-custom-backend=${dir}/backend` : ''}
pre-install=${dir}/pre
post-install=${dir}/post
[slot.rootfs.0]
device=${dir}/slot-A
type=raw
bootname=A
[slot.rootfs.1]
device=${dir}/slot-B
type=raw
bootname=B
`;

const busConf = (
  dir: string,
): string => `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=${dir}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy>
</busconfig>`;

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'ignore', timeout: COMMAND_MS });
}

async function program(dir: string, name: string, body: string): Promise<string> {
  const file = join(dir, name);
  await writeFile(file, `#!/bin/sh\nD='${dir}'\n${body}\n`);
  await chmod(file, 0o755);
  return file;
}

async function writeFiles(dir: string, bootloader: string): Promise<void> {
  const at = (name: string): string => join(dir, name);
  await mkdir(at('mnt'));
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    at('key.pem'),
    '-out',
    at('cert.pem'),
    '-subj',
    '/CN=ca',
  );
  await writeFile(at('system.conf'), systemConf(dir, bootloader));
  await writeFile(at('bus.conf'), busConf(dir));
  for (const [name, text] of Object.entries({
    primary: 'A',
    booted: 'A',
    'state-A': 'good',
    'state-B': 'good',
    boot: 'b1',
  }))
    await writeFile(at(name), `${text}\n`);
  for (const slot of ['A', 'B']) await writeFile(at(`slot-${slot}`), Buffer.alloc(3_000_000, slot));
  for (const [name, body] of Object.entries({ backend: BACKEND, pre: PRE, post: POST })) await program(dir, name, body);
}

export async function startRauc({ bootloader = 'custom' }: RaucOptions = {}): Promise<RaucStation> {
  // Names of sockets are short.
  const dir = await mkdtemp(join(tmpdir(), 'rauc-'));
  const at = (name: string): string => join(dir, name);
  await writeFiles(dir, bootloader);
  const env = { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${at('bus')}` };
  const bus = await startChild('dbus-daemon', [`--config-file=${at('bus.conf')}`, '--nofork'], { env });
  await awaitUntil(() => existsSync(at('bus')), READY_MS, 'the bus');
  const loop = await program(dir, 'service', SERVICE);
  const reboot = await program(dir, 'reboot', REBOOT);
  const client = [
    'env',
    `DBUS_SYSTEM_BUS_ADDRESS=${env.DBUS_SYSTEM_BUS_ADDRESS}`,
    'rauc',
    `--conf=${at('system.conf')}`,
  ];
  const answers = (): boolean => {
    try {
      execFileSync(client[0] ?? '', [...client.slice(1), 'status'], { stdio: 'ignore', timeout: COMMAND_MS });
      return true;
    } catch {
      return false;
    }
  };
  /** Of the service that runs, or ran last. While it is being written down there is none: 0 would be our own group. */
  const servicePid = (): Promise<number> =>
    awaitUntil(
      async () => Number.parseInt(await readFile(at('service.pid'), 'utf8'), 10) || undefined,
      READY_MS,
      'the pid of the service',
    );
  const killOne = (pid: number): void => {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      // It went by itself.
      if (!hasCode(error, 'ESRCH')) throw error;
    }
  };
  let service: Child | undefined;
  const station: RaucStation = {
    dir,
    program: client,
    reboot: [reboot],
    bootIdFile: at('boot'),
    bundle: (name, change = {}) => makeBundle(dir, name, change),
    let: () => writeFile(at('go'), ''),
    set: (fact, value = '') => writeFile(at(fact), value),
    unset: (fact) => rm(at(fact), { force: true }),
    primary: async () => (await readFile(at('primary'), 'utf8')).trim(),
    slot: (name) => readFile(at(`slot-${name}`)),
    async killService(stay = false) {
      if (stay) await writeFile(at('stay-away'), '');
      killOne(await servicePid());
      await awaitUntil(() => (stay ? !answers() : answers()), READY_MS, 'the service');
    },
    async startService() {
      await rm(at('stay-away'), { force: true });
      service ??= await startChild('sh', [loop], { env });
      await awaitUntil(answers, READY_MS, 'the service');
    },
    async stop() {
      await writeFile(at('stop'), '');
      await writeFile(at('go'), '');
      // What starts it anew goes first.
      await service?.end('SIGTERM');
      if (existsSync(at('service.pid'))) killOne(await servicePid());
      await bus.end('SIGTERM');
      // A service that was killed leaves its bundle mounted.
      spawn('sh', ['-c', `umount -l ${dir}/mnt/* 2>/dev/null; rm -rf ${dir}`], { stdio: 'ignore' }).unref();
    },
  };
  try {
    await station.startService();
  } catch (error) {
    await station.stop();
    throw error;
  }
  return station;
}

async function makeBundle(
  dir: string,
  name: string,
  { compatible = 'khumbu-test', extensions = [], days = 30 }: Partial<BundleOptions>,
): Promise<RaucBundle> {
  const work = join(dir, `bundle-${encodeURIComponent(name)}`);
  await mkdir(work);
  const image = createHash('sha256').update(name).digest();
  await writeFile(join(work, 'rootfs.img'), Buffer.alloc(2_000_000, image));
  await writeFile(
    join(work, 'manifest.raucm'),
    `[update]\ncompatible=${compatible}\nversion=${name}\n[bundle]\nformat=plain\n[image.rootfs]\nfilename=rootfs.img\n`,
  );
  const signer = `${work}-signer`;
  const extension = extensions.flatMap((one) => ['-addext', one]);
  openssl(
    'req',
    '-new',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-keyout',
    `${signer}.key`,
    '-out',
    `${signer}.csr`,
    '-subj',
    `/CN=${name}`,
    ...extension,
  );
  const dates =
    days < 0 ? ['-not_before', '20200101000000Z', '-not_after', '20200102000000Z'] : ['-days', String(days)];
  sign(dir, signer, dates);
  const path = `${work}.raucb`;
  execFileSync('rauc', ['bundle', `--cert=${signer}.pem`, `--key=${signer}.key`, work, path], {
    stdio: 'ignore',
    timeout: COMMAND_MS,
  });
  const bytes = await readFile(path);
  return { path, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** By the certificate that the station's keyring holds. `openssl ca` alone sets dates. */
function sign(dir: string, signer: string, dates: readonly string[]): void {
  const inPast = dates[0] === '-not_before';
  const common = ['-in', `${signer}.csr`, '-out', `${signer}.pem`];
  if (!inPast) {
    openssl(
      'x509',
      '-req',
      ...common,
      '-CA',
      `${dir}/cert.pem`,
      '-CAkey',
      `${dir}/key.pem`,
      '-CAcreateserial',
      '-copy_extensions',
      'copyall',
      ...dates,
    );
    return;
  }
  const [, from = '', , to = ''] = dates;
  execFileSync('sh', ['-c', 'mkdir -p "$1"; : >"$1/index.txt"; echo 01 >"$1/serial"', 'sh', `${signer}-ca`]);
  execFileSync('sh', [
    '-c',
    'printf "[ca]\\ndefault_ca=d\\n[d]\\ndatabase=%s/index.txt\\nserial=%s/serial\\nnew_certs_dir=%s\\ndefault_md=sha256\\npolicy=p\\n[p]\\ncommonName=supplied\\n" "$1" "$1" "$1" >"$1/ca.conf"',
    'sh',
    `${signer}-ca`,
  ]);
  openssl(
    'ca',
    '-batch',
    '-notext',
    '-config',
    `${signer}-ca/ca.conf`,
    ...common,
    '-cert',
    `${dir}/cert.pem`,
    '-keyfile',
    `${dir}/key.pem`,
    '-startdate',
    from,
    '-enddate',
    to,
  );
}
