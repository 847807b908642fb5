/** What happens to a journal while it is read: a real journalctl, and a station where that happens after its first records. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { createRealDriver } from '@khumbu/station-drivers/station/real-driver';
import { createSshPool } from '@khumbu/station-drivers/transports/ssh/ssh-transport';
import { type JournalEntry, writeJournal } from '@khumbu/test-support/journal';
import type { Test } from 'tap';
import { BEGIN, type Openings, WINDOW_SECONDS } from './station.js';

const BOOT = 'a'.repeat(32);
const SECONDS = 2000;
/** Several times what pipes hold: journalctl cannot be far ahead. */
const MESSAGE_BYTES = 600;

export interface JournalFault {
  readonly fault: string;
  /** Whether all records arrive; else a beginning of them does, and a note says so. */
  readonly isWhole: boolean;
  readonly openLogs: Openings;
}

const messageOf = (second: number): string => `${second} `.padEnd(MESSAGE_BYTES, 'x');

function* entries(): Generator<JournalEntry> {
  for (let second = 0; second <= SECONDS; second += 1)
    yield {
      realtime: BigInt(BEGIN + second * 1000) * 1000n,
      monotonic: BigInt(10 + second) * 1_000_000n,
      // With a boot after it the window is most of the first one, which is then read as a whole.
      boot: second === SECONDS ? 'b'.repeat(32) : BOOT,
      fields: { MESSAGE: messageOf(second), PRIORITY: '6', _SYSTEMD_UNIT: 'a.service', SYSLOG_IDENTIFIER: 'a' },
    };
}

/** The records of the window as lines. */
export const journalLines: readonly string[] = Array.from(
  { length: WINDOW_SECONDS.to - WINDOW_SECONDS.from + 1 },
  (_none, n) => {
    const second = WINDOW_SECONDS.from + n;
    const time = new Date(BEGIN + second * 1000).toISOString().replace('Z', '000Z');
    return `${time} ${BOOT} ${10 + second}.000000 a.service info a: ${messageOf(second)}\n`;
  },
);

/** What is done to `$journal`. It has 8 MiB, and its tables of hashes, which come first, nearly 4. */
const DONE: readonly (readonly [fault: string, isWhole: boolean, script: string])[] = [
  ['the journal is rotated while it is read', true, 'mv "$journal" "$(dirname "$journal")/system@old.journal"'],
  ['the journal is removed while it is read', true, 'rm "$journal"'],
  ['the journal is truncated while it is read', false, 'truncate -s 4000000 "$journal"'],
];

export async function journalFaults(t: Test, dir: string): Promise<readonly JournalFault[]> {
  const pool = createSshPool();
  t.teardown(() => pool.close());
  return Promise.all(
    DONE.map(async ([fault, isWhole, script], number): Promise<JournalFault> => {
      const own = join(dir, `journal-${number}`);
      const directory = join(own, 'journal');
      await mkdir(own, { recursive: true });
      const journal = await writeJournal(directory, entries());
      const program = join(own, 'journalctl');
      const midway = `{ head -c 50000; journal='${journal}'; ${script}; cat; }`;
      await writeFile(
        program,
        `case "$*" in *output-fields=MESSAGE*_BOOT_ID=${BOOT}*) journalctl "$@" | ${midway} ;; *) exec journalctl "$@" ;; esac\n`,
      );
      const entry: RealDriverEntry = {
        transport: 'local',
        state_dir: join(own, 'state'),
        profile: 'rauc',
        logs: { DiagnosticsLog: [{ journal: { directory, program: ['/bin/sh', program] } }] },
      };
      const driver = createRealDriver('gate', entry, pool);
      return { fault, isWhole, openLogs: (query, signal) => driver.openLogs(query, signal) };
    }),
  );
}
