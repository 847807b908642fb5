/** The station program beside real time services, in namespaces of their own; what would set the clock is a stand-in. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { debianFiles } from '@khumbu/test-support/debian-files';
import t, { type Test } from 'tap';

const run = promisify(execFile);
const PROGRAM = new URL('../../station/khumbu-station.sh', import.meta.url).pathname;
const DEADLINE_MS = 180_000;

/** In new namespaces: an empty /run, a network of our own, and no processes but ours. */
const APART = ['--mount', '--net', '--pid', '--fork', '--mount-proc', 'sh', '-c'];
const mayUnshare = (await run('unshare', [...APART, 'true']).catch(() => undefined)) !== undefined;
const cannot = mayUnshare ? false : 'namespaces cannot be made here';
const chronyFiles = await debianFiles(['chrony']);
const noChrony = typeof chronyFiles === 'string' ? chronyFiles : cannot;

interface Scene {
  /** Programs of the station by name, as shell scripts; `$D` is a folder. */
  readonly programs?: Readonly<Record<string, string>>;
  /** Shell words that begin what else runs there. */
  readonly before?: string;
  readonly shell?: string;
}

/** Run a verb at a station; what stand-ins noted down. */
async function ask(t: Test, verb: string, value: string, { programs = {}, before = '', shell = 'sh' }: Scene) {
  const dir = t.testdir({});
  await mkdir(join(dir, 'bin'));
  const noting = (name: string) => `echo "${name} $*" >>"$D/noted"`;
  const all = { date: noting('date'), timedatectl: 'exit 1', ...programs };
  for (const [name, body] of Object.entries(all)) {
    await writeFile(join(dir, 'bin', name), `#!/bin/sh\nD='${dir}'\n${body}\n`);
    await chmod(join(dir, 'bin', name), 0o755);
  }
  const line = `mount -t tmpfs tmpfs /run; ip link set lo up; ${before}
exec "$0" "$@"`;
  const argv = [...APART, line, ...shell.split(' '), PROGRAM, verb, join(dir, 'state'), '0', value];
  const brought = typeof chronyFiles === 'string' ? '' : `${chronyFiles.path}:`;
  const env = { PATH: `${join(dir, 'bin')}:${brought}/usr/sbin:/usr/bin:/sbin:/bin`, D: dir };
  const end = await run('unshare', argv, { env, timeout: DEADLINE_MS }).then(
    ({ stderr }) => ({ code: 0, stderr }),
    ({ code, stderr }: { code: number; stderr: string }) => ({ code, stderr }),
  );
  const noted = await readFile(join(dir, 'noted'), 'utf8').catch(() => '');
  return { ...end, noted: noted.trim() };
}

const chrony = (settings: string): string => `
mkdir -m 750 /run/chrony
printf 'driftfile /run/chrony/drift\\nport 11123\\nuser root\\n${settings}\\n' >/run/chrony/conf
chronyd -x -n -f /run/chrony/conf >/run/chrony/log 2>&1 &
tries=0
until chronyc -n tracking >/dev/null 2>&1; do tries=$((tries + 1)); [ "$tries" -lt 200 ] || exit 3; sleep 0.1; done`;

await t.test('nobody keeps it: it is set', { skip: cannot }, async (t) => {
  t.match(await ask(t, 'set-clock', '1767225600.250', {}), { code: 0, noted: 'date -u -s @1767225600.250' });
});

await t.test('chrony keeps it: it is left alone, and that is said', { skip: noChrony }, async (t) => {
  const synchronised = { before: chrony('local stratum 8') };
  for (const verb of ['set-clock', 'slew-clock'])
    t.match(await ask(t, verb, '1767225600', synchronised), { code: 75, stderr: /kept by chronyd/, noted: '' });
});

await t.test('chrony runs and has no time: it is set', { skip: noChrony }, async (t) => {
  t.match(await ask(t, 'set-clock', '1767225600', { before: chrony('') }), { code: 0, noted: /^date/ });
});

/** `timedatectl` as systemd 252 has it; `ntpq` of ntp and ntpsec; `ntpctl` of OpenNTPD. */
const timesyncd = (synchronised: string) => ({
  timedatectl: `case "$*" in *NTPSynchronized) echo NTPSynchronized=${synchronised} ;; *) echo yes ;; esac`,
});
const daemon = { pidof: '[ "$1" = ntpd ] && echo 77' };

for (const [what, programs, isKept] of [
  ['timesyncd, synchronised', timesyncd('yes'), true],
  ['timesyncd without a server', timesyncd('no'), false],
  ['ntpd, synchronised', { ...daemon, ntpq: 'echo "leap=00"' }, true],
  ['ntpd without a server', { ...daemon, ntpq: 'echo "leap=11"' }, false],
  ['OpenNTPD, synchronised', { ...daemon, ntpctl: 'echo "4/4 peers valid, clock synced, stratum 3"' }, true],
  ['OpenNTPD without a server', { ...daemon, ntpctl: 'echo "0/4 peers valid, clock unsynced"' }, false],
  ['a time service that cannot be asked', { ...daemon, ntpq: 'exit 127' }, true],
] as const)
  await t.test(what, { skip: cannot }, async (t) => {
    const { code, noted } = await ask(t, 'set-clock', '1767225600', { programs });
    t.same([code, noted === ''], isKept ? [75, true] : [0, false]);
  });

await t.test('a slew is the kernel’s, by either program', { skip: cannot }, async (t) => {
  const debian = `[ "$1" != --help ] || { echo '-s, --singleshot adj   slew'; exit 0; }; echo "adjtimex $*" >>"$D/noted"`;
  const programs = { adjtimex: debian };
  t.match(await ask(t, 'slew-clock', '-2500000', { programs }), { code: 0, noted: 'adjtimex --singleshot -2500000' });
  const small = { adjtimex: 'echo "Usage: adjtimex [-q] [-o OFF]"', busybox: 'echo "busybox $*" >>"$D/noted"' };
  const bySmall = await ask(t, 'slew-clock', '2500000', { programs: small });
  t.match(bySmall, { code: 0, noted: 'busybox adjtimex -q -o 2500000' });
  const none = { adjtimex: 'exit 127', busybox: 'echo "adjtimex: Operation not permitted" >&2; exit 1' };
  t.match(await ask(t, 'slew-clock', '1', { programs: none }), { code: 69, stderr: /not permitted/ });
});
