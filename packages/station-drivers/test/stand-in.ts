/** A charger of whose maker we have programs: small shell scripts over a folder. Effects end when they are let. */
import { createHash } from 'node:crypto';
import { access, chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CommandVerbs, RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import type { FirmwareImage } from '../src/port.js';

type Scripts =
  | 'install'
  | 'pull'
  | 'recover'
  | 'reboot'
  | 'restart'
  | 'evidence'
  | 'clock'
  | 'set-clock'
  | 'slew-clock'
  | 'logs'
  | 'network';

/** `$D` is the folder of the charger. */
const scripts: Record<Scripts, string> = {
  install: `
echo '{"progress": 10}'
echo "install $3" >>"$D/log"
while [ ! -e "$D/go" ]; do [ -d "$D" ] || exit 1; sleep 0.05; done
rm -f "$D/go"
[ ! -e "$D/fail" ] || { echo 'the slot is broken' >&2; exit "$(cat "$D/fail")"; }
sum=$(sha256sum <"$1"); [ "\${sum%% *}" = "$2" ] || exit 65
cp "$1" "$D/next.img"; echo "$2" >"$D/next"
echo '{"progress": 100}'
[ ! -e "$D/no-reboot" ] || { mv "$D/next" "$D/running"; echo '{"reboot_needed": false}'; }`,
  // URL SHA256 OPERATION: a beginning, and then what is left of it.
  pull: `
rm -f "$D/pulled"
curl -fsS -r 0-1 -o "$D/pulled" "$1" && curl -fsS -C - -o "$D/pulled" "$1" || exit 1
exec "$D/bin/install" "$D/pulled" "$2" "$3"`,
  recover: `
echo "recover $1" >>"$D/log"
[ ! -e "$D/cannot-recover" ] || { echo 'the bootloader does not answer' >&2; exit 1; }
rm -f "$D/next"`,
  reboot: `
echo "reboot $1" >>"$D/log"
while [ ! -e "$D/go" ]; do [ -d "$D" ] || exit 1; sleep 0.05; done
rm -f "$D/go"
if [ -e "$D/next" ] && [ ! -e "$D/falls-back" ]; then
  mv "$D/next" "$D/running"
  if [ "$(cat "$D/slot")" = A ]; then echo B >"$D/slot"; else echo A >"$D/slot"; fi
fi
echo "boot-$(cat /proc/sys/kernel/random/uuid)" >"$D/boot.part"; mv "$D/boot.part" "$D/boot"`,
  restart: `
echo "restart $1" >>"$D/log"
while [ ! -e "$D/go" ]; do [ -d "$D" ] || exit 1; sleep 0.05; done
rm -f "$D/go"`,
  evidence: `
running=
[ ! -e "$D/running" ] || [ -e "$D/silent" ] || running=", \\"running_sha256\\": \\"$(cat "$D/running")\\""
printf '{"boot_id": "%s", "healthy": true, "slot": "%s"%s}\\n' "$(cat "$D/boot")" "$(cat "$D/slot")" "$running"`,
  // What it is to gain it gains by half of the time that passes.
  clock: `
now=$(date +%s.%N); off=$(cat "$D/offset" 2>/dev/null || echo 0); slew=$(cat "$D/slew" 2>/dev/null || echo "$now 0")
awk -v now="$now" -v off="$off" -v since="\${slew% *}" -v by="\${slew#* }" 'BEGIN {
  gained = (now - since) / 2; most = by < 0 ? -by : by; if (gained > most) gained = most
  printf "%.3f\\n", now + off + (by < 0 ? -gained : gained)
}'`,
  'set-clock': `
rm -f "$D/slew"
awk -v now="$(date +%s.%N)" -v to="\${1#@}" 'BEGIN { printf "%.3f\\n", to - now }' >"$D/offset"`,
  'slew-clock': `
echo "$(date +%s.%N) $1" >"$D/slew"`,
  logs: `
awk -v from="$2" -v to="$3" '(from == "" || $1 >= from) && (to == "" || $1 <= to)' "$D/$1.txt"
[ ! -e "$D/endless" ] || while :; do echo '9999-12-31T00:00:00.000Z more'; done`,
  network: `
read -r request
printf '%s\\n' "$request" >"$D/network"
printf '{"address": "%s-up"}\\n' "$1"`,
};

function logText(type: string): string {
  const start = Date.UTC(2026, 0, 1);
  return Array.from({ length: 12 }, (_none, i) => `${new Date(start + i * 1000).toISOString()} ${type} ${i}\n`).join(
    '',
  );
}

export interface StandIn {
  readonly dir: string;
  /** The `driver` of its entry, without the transport. */
  readonly entry: Omit<RealDriverEntry, 'transport'>;
  image(name: string): Promise<FirmwareImage>;
  /** Its entry, where it fetches images itself from this URL. */
  pulling(depotUrl: string): Omit<RealDriverEntry, 'transport'>;
  /** Let the effect under way end; resolves when it went. */
  let(): Promise<void>;
  /** Say or take back a fact about it: `fail` with an exit code, `falls-back`, `silent`, `no-reboot`. */
  set(fact: string, value?: string): Promise<void>;
  unset(fact: string): Promise<void>;
  /** What its programs were called for, in order. */
  log(): Promise<readonly string[]>;
}

export async function makeStandIn(dir: string): Promise<StandIn> {
  await mkdir(join(dir, 'bin'), { recursive: true });
  const program = (name: Scripts): string => join(dir, 'bin', name);
  for (const [name, body] of Object.entries(scripts)) {
    const file = program(name as Scripts);
    await writeFile(file, `#!/bin/sh\nD='${dir}'\n${body}\n`);
    await chmod(file, 0o755);
  }
  const at = (name: string): string => join(dir, name);
  await writeFile(at('boot'), 'boot-1\n');
  await writeFile(at('slot'), 'A\n');
  for (const type of ['DiagnosticsLog', 'SecurityLog']) await writeFile(at(`${type}.txt`), logText(type));
  const command: CommandVerbs = {
    install: [program('install'), '{image}', '{sha256}', '{operation}'],
    recover: [program('recover'), '{operation}'],
    reboot: [program('reboot'), '{operation}'],
    restart_everest: [program('restart'), '{operation}'],
    evidence: [program('evidence')],
    read_clock: [program('clock')],
    set_clock: [program('set-clock'), '{seconds}'],
    slew_clock: [program('slew-clock'), '{offset}'],
    logs: [program('logs'), '{type}', '{oldest}', '{latest}'],
    network: [program('network'), '{interface}'],
  };
  const entry: Omit<RealDriverEntry, 'transport'> = {
    state_dir: at('state'),
    profile: 'command',
    boot_id: ['cat', at('boot')],
    command,
    limits: { install_s: 60, reboot_s: 60, restart_s: 60, command_s: 20 },
  };
  return {
    dir,
    entry,
    pulling: (depotUrl) => ({
      ...entry,
      depot_url: depotUrl,
      command: { ...command, install: [program('pull'), '{url}', '{sha256}', '{operation}'] },
    }),
    async image(name) {
      const path = at(`image-${encodeURIComponent(name)}`);
      await writeFile(path, name);
      return {
        path,
        sizeBytes: Buffer.byteLength(name),
        sha256: createHash('sha256').update(name).digest('hex'),
      };
    },
    let: () => writeFile(at('go'), ''),
    set: (fact, value = '') => writeFile(at(fact), value),
    unset: (fact) => rm(at(fact), { force: true }),
    async log() {
      try {
        await access(at('log'));
      } catch {
        return [];
      }
      return (await readFile(at('log'), 'utf8')).trim().split('\n');
    },
  };
}
