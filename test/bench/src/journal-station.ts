/** A station on this host with a journal as a charger's: EVerest's records with all the fields that journald gives them. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { type JournalEntry, whyNoJournal, writeJournal } from '@khumbu/test-support/journal';

const BOOT = 'b'.repeat(32);
const BEGIN_MICROS = BigInt(Date.UTC(2026, 0, 1)) * 1000n;
/** About a week in which something happens every second. */
const STEP_MICROS = 1_237_123n;
const WRITE_MS = 240_000;
/** One record in so many has the token of a card. */
const TOKEN_EVERY = 50;
const STATES = ['Available', 'Preparing', 'Charging', 'SuspendedEV'] as const;
const PROGRAMS = [
  ['everest.service', 'manager', '6'],
  ['everest.service', 'manager', '6'],
  ['everest.service', 'manager', '7'],
  ['systemd-networkd.service', 'systemd-networkd', '6'],
  ['everest.service', 'manager', '4'],
] as const;

const hex = (text: string, length: number): string => createHash('sha256').update(text).digest('hex').slice(0, length);

function messageOf(n: number): string {
  if (n % TOKEN_EVERY === 0) {
    const token = hex(String(n), 14).toUpperCase();
    return `auth:Auth :: Received new token: {"id_token":{"value":"${token}","type":"ISO14443"},"connectors":[1]}`;
  }
  const module = `evse_manager_${(n % 2) + 1}:EvseManager`;
  return `${module} :: meter ${1_000_000 + n} Wh, ${229 + (n % 5)} V, ${n % 33} A, ${20 + (n % 40)} C, ${STATES[n % 4]}`;
}

function* entries(count: number): Generator<JournalEntry> {
  for (let n = 0; n < count; n += 1) {
    const [unit, identifier, priority] = PROGRAMS[n % PROGRAMS.length] as (typeof PROGRAMS)[number];
    const since = BigInt(n) * STEP_MICROS;
    yield {
      realtime: BEGIN_MICROS + since,
      monotonic: 5_000_000n + since,
      boot: BOOT,
      fields: {
        MESSAGE: messageOf(n),
        PRIORITY: priority,
        SYSLOG_FACILITY: '3',
        SYSLOG_IDENTIFIER: identifier,
        _TRANSPORT: 'stdout',
        _STREAM_ID: hex(identifier, 32),
        _PID: String(600 + (n % PROGRAMS.length)),
        _UID: '0',
        _GID: '0',
        _COMM: identifier,
        _EXE: `/usr/bin/${identifier}`,
        _CMDLINE: `/usr/bin/${identifier} --prefix /usr --config /etc/everest/config.yaml`,
        _CAP_EFFECTIVE: '1ffffffffff',
        _SELINUX_CONTEXT: 'unconfined',
        _SYSTEMD_CGROUP: `/system.slice/${unit}`,
        _SYSTEMD_UNIT: unit,
        _SYSTEMD_SLICE: 'system.slice',
        _SYSTEMD_INVOCATION_ID: hex(unit, 32),
        _MACHINE_ID: 'd'.repeat(32),
        _HOSTNAME: 'charger',
        _RUNTIME_SCOPE: 'system',
      },
    };
  }
}

/** Writes the journal; resolves with its folder. Throws where no journal can be made. */
export async function makeJournal(dir: string, records: number): Promise<string> {
  const why = await whyNoJournal();
  if (why !== undefined) throw new Error(why);
  const directory = join(dir, 'journal');
  const path = await writeJournal(directory, entries(records), 'system', WRITE_MS);
  if (!existsSync(path)) throw new Error(`there is no ${path}`);
  return directory;
}

export const journalEntry = (dir: string, directory: string): RealDriverEntry => ({
  transport: 'local',
  state_dir: join(dir, 'state'),
  profile: 'command',
  command: { install: ['true'], evidence: ['sh', '-c', 'echo \'{"boot_id": "b1", "healthy": true}\''] },
  logs: { DiagnosticsLog: [{ journal: { directory } }] },
});
