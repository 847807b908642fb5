/**
 * Which process a number means. A number alone may mean another process tomorrow; with the moment the process began and
 * the boot it began in, it cannot. Linux only (`/proc`); elsewhere nothing is recognized, so nothing is ever stopped.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from './errors.js';

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

/** The fields of `/proc/<pid>/stat` after the name: state first. */
function statOf(pid: number): { readonly state: string; readonly startTicks: string } | undefined {
  const stat = readProc(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The second field is the name in brackets and may hold anything; the fields after the last bracket are plain.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, startTicks] = [fields[0], fields[19]];
  return state === undefined || startTicks === undefined ? undefined : { state, startTicks };
}

/** `undefined`: there is no such process (a zombie is none), or no way to tell. */
export function identify(pid: number): ProcessIdentity | undefined {
  const stat = statOf(pid);
  const bootId = readProc('/proc/sys/kernel/random/boot_id')?.trim();
  if (stat === undefined || bootId === undefined || stat.state === 'Z') return undefined;
  return { pid, startTicks: stat.startTicks, bootId };
}

export const isRunning = (identity: ProcessIdentity): boolean => {
  const now = identify(identity.pid);
  return now?.startTicks === identity.startTicks && now.bootId === identity.bootId;
};

/** A process among those that can see each other's end: of one host and one namespace of process ids. */
export interface PlacedIdentity extends ProcessIdentity {
  readonly host: string;
  readonly namespace: string;
}

/** This process. `undefined` where there is no way to tell. */
export function identifySelf(): PlacedIdentity | undefined {
  const identity = identify(process.pid);
  if (!identity) return undefined;
  try {
    return { ...identity, host: hostname(), namespace: readlinkSync('/proc/self/ns/pid') };
  } catch (error) {
    if (hasCode(error, ...GONE, 'EACCES', 'EPERM')) return undefined;
    throw error;
  }
}

/**
 * Whether a process has certainly ended. `false` also for one of another place, and for one that we may not look at: that
 * it cannot be seen in `/proc` proves nothing where that is hidden from us.
 */
export function hasEnded(identity: PlacedIdentity, self: PlacedIdentity | undefined = identifySelf()): boolean {
  if (!self || (['host', 'namespace', 'bootId'] as const).some((what) => self[what] !== identity[what])) return false;
  try {
    process.kill(identity.pid, 0);
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return true;
    if (!hasCode(error, 'EPERM')) throw error;
  }
  const now = statOf(identity.pid);
  return now !== undefined && (now.state === 'Z' || now.startTicks !== identity.startTicks);
}

/** Read what was stored as JSON; `undefined` if it is not a whole one. */
export function parsePlaced(text: string): PlacedIdentity | undefined {
  const identity = parseIdentity(text);
  if (!identity) return undefined;
  const { host, namespace } = JSON.parse(text) as Partial<PlacedIdentity>;
  return typeof host === 'string' && typeof namespace === 'string' ? { ...identity, host, namespace } : undefined;
}

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
