/** What the kernel says of a process. Linux. */
import { readFileSync, writeFileSync } from 'node:fs';

/** Of `/proc/<pid>/stat` on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;
export const MB = 1_000_000;

/** User and system seconds by their places in `/proc/<pid>/stat`, counted from the third member. */
function secondsOf(pid: number, places: readonly number[]): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, in brackets, may hold anything.
  const members = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return places.reduce((sum, place) => sum + Number(members[place]), 0) / TICKS_PER_SECOND;
}

/** CPU seconds of all its threads so far, user and system (`utime`, `stime`). */
export const cpuSeconds = (pid: number): number => secondsOf(pid, [11, 12]);

/** Those, and of the programs that it has started and waited for (`cutime`, `cstime`). */
export const cpuSecondsWithPrograms = (pid: number): number => secondsOf(pid, [11, 12, 13, 14]);

function memory(pid: number, member: 'VmRSS' | 'VmHWM'): number {
  const kilobytes = new RegExp(`^${member}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kilobytes === undefined) throw new Error(`the kernel does not say the ${member} of ${pid}`);
  return Number(kilobytes) * 1024;
}

export const rssBytes = (pid: number): number => memory(pid, 'VmRSS');

/** The largest resident set since `forgetPeak`. */
export const peakRssBytes = (pid: number): number => memory(pid, 'VmHWM');

export const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, '5');
