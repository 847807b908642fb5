/**
 * Which process a number means. A number alone may mean another process tomorrow; with the moment the process began and
 * the boot it began in, it cannot. Linux only (`/proc`); elsewhere nothing is recognized, so nothing is ever stopped.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from '@khumbu/shared/runtime/errors';

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTicks: string;
  readonly bootId: string;
}

const GONE = ['ENOENT', 'ESRCH', 'ENOTDIR'] as const;

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, ...GONE)) return undefined;
    throw error;
  }
}

/** `undefined`: there is no such process (a zombie is none), or no way to tell. */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = readProc(`/proc/${pid}/stat`);
  const bootId = readProc('/proc/sys/kernel/random/boot_id')?.trim();
  if (stat === undefined || bootId === undefined) return undefined;
  // The second field is the name in brackets and may hold anything; the fields after the last bracket are plain.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const startTicks = fields[19];
  return fields[0] === 'Z' || startTicks === undefined ? undefined : { pid, startTicks, bootId };
}

export const isRunning = (identity: ProcessIdentity): boolean => {
  const now = identify(identity.pid);
  return now?.startTicks === identity.startTicks && now.bootId === identity.bootId;
};

/** Read an identity that was stored as JSON; `undefined` if it is not one. */
export function parseIdentity(text: string): ProcessIdentity | undefined {
  try {
    const value = JSON.parse(text) as Partial<ProcessIdentity> | null;
    const { pid, startTicks, bootId } = value ?? {};
    if (typeof pid !== 'number' || typeof startTicks !== 'string' || typeof bootId !== 'string') return undefined;
    return { pid, startTicks, bootId };
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The text by which this process, or a child, is found again. */
export const identityText = (pid: number): string =>
  JSON.stringify(identify(pid) ?? { pid, startTicks: '', bootId: '' });

/** Signal a process, or with a negative number a process group. False: there is none any more. */
export function signalProcess(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return false;
    throw error;
  }
}

/** Stop a process that is not our child: SIGTERM, and SIGKILL after `graceMs`. */
export async function stopProcess(identity: ProcessIdentity, graceMs: number): Promise<void> {
  const end = performance.now() + graceMs;
  signalProcess(identity.pid, 'SIGTERM');
  while (isRunning(identity)) {
    if (performance.now() > end) signalProcess(identity.pid, 'SIGKILL');
    await delay(20);
  }
}
