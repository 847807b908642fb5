/** Child processes that do not outlive the test that started them, whatever way it ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Socket } from 'node:net';
import { within } from './events.js';

const OUTPUT_KEPT = 20_000;
const KILLED_MS = 10_000;
const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));
const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildOptions {
  readonly cwd?: string;
  /** The whole environment; default: ours. */
  readonly env?: Record<string, string | undefined>;
  /** A process group of its own. */
  readonly detached?: boolean;
  /** Its standard input can be written to; default: there is none. */
  readonly stdin?: boolean;
  /** An IPC channel, as `fork` has. */
  readonly ipc?: boolean;
}

/** Start a program. It gets SIGKILL when this process ends, SIGKILL of this process included (where setpriv exists). */
export async function startChild(command: string, args: readonly string[], options: ChildOptions = {}) {
  const [file, argv] = SETPRIV ? [SETPRIV, ['--pdeathsig', 'KILL', '--', command, ...args]] : [command, [...args]];
  const child = spawn(file, argv, {
    cwd: options.cwd,
    env: { ...(options.env ?? process.env) } as NodeJS.ProcessEnv,
    detached: options.detached ?? false,
    stdio: [options.stdin ? 'pipe' : 'ignore', 'pipe', 'pipe', ...(options.ipc ? ['ipc' as const] : [])],
  });
  let output = '';
  let stdout = '';
  const keep = (text: string): void => {
    output = (output + text).slice(-OUTPUT_KEPT);
  };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    keep(text);
  });
  child.stderr?.setEncoding('utf8').on('data', keep);

  let ended: ChildExit | undefined;
  living.add(child);
  const exited = new Promise<ChildExit>((resolve) => {
    child.once('exit', (code, signal) => {
      living.delete(child);
      ended = { code, signal };
      // What it has started may hold its output open, and is not waited for.
      for (const stream of [child.stdout, child.stderr]) if (stream instanceof Socket) stream.unref();
      resolve(ended);
    });
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => {
      living.delete(child);
      reject(error);
    });
  });

  return {
    pid: child.pid as number,
    process: child,
    /** Resolves when the process has ended; never rejects once the process runs. */
    exited,
    /** `undefined` while it runs. */
    exit: () => ended,
    /** The end of what it wrote to stdout and stderr. */
    output: () => output,
    /** What it wrote to stdout, whole. */
    stdout: () => stdout,
    /** Send a signal; resolves when the process has ended. Safe to repeat. SIGKILL follows after `deadlineMs`. */
    async end(signal: NodeJS.Signals = 'SIGTERM', deadlineMs = 10_000): Promise<ChildExit> {
      if (ended) return ended;
      child.kill(signal);
      try {
        return await within(exited, deadlineMs, `end of ${command} after ${signal}`);
      } catch (error) {
        child.kill('SIGKILL');
        await within(exited, KILLED_MS, `end of ${command} after SIGKILL`);
        throw error;
      }
    },
  };
}
export type Child = Awaited<ReturnType<typeof startChild>>;
