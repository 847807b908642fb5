/** Processes of this machine by what they were called with. */
import { readdirSync, readFileSync } from 'node:fs';

export interface RunningProcess {
  readonly pid: number;
  readonly commandLine: string;
}

/** Those whose command line holds one of the texts. */
export function processesWith(texts: readonly string[]): readonly RunningProcess[] {
  const found: RunningProcess[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const commandLine = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      if (texts.some((text) => commandLine.includes(text))) found.push({ pid, commandLine });
    } catch {
      // It ended while we looked.
    }
  }
  return found;
}

/** SIGKILL; one that went by itself is no fault. A negative number is a process group. */
export function killHard(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It went by itself.
  }
}
