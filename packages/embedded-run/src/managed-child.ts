/** One child process that is kept alive: started, watched, started again when it dies, stopped when asked. */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { sleep } from '@khumbu/shared/runtime/abort';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { signalProcess } from '@khumbu/shared/runtime/process-identity';
import { openLogFile } from './log-file.js';
import { notableLines, whyItEnded } from './notable-lines.js';
import type { ReadyCheck } from './readiness.js';

export interface ChildSpec {
  /** Unique, fit for a file name. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A node program that stops when its IPC channel closes. Others get a death signal where the system has one. */
  readonly ipc: boolean;
  /** `says-so`: it sends `{ready: true}` over IPC. */
  readonly ready: ReadyCheck | 'says-so';
  /** How long it may take to stop before it is killed. */
  readonly stopMs: number;
}

export interface ManagedChildPorts {
  readonly logPath: (name: string) => string;
  readonly say: (line: string) => void;
  readonly started: (name: string, pid: number) => void;
  readonly ended: (name: string) => void;
  /** setpriv, if the system has it. */
  readonly setpriv: string | undefined;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
/** One that lived this long starts again after the first pause. */
const SETTLED_MS = 5000;
const DEATHS_BEFORE_READY = 3;
const READY_POLL_MS = 50;

const howItEnded = (code: number | null, signal: NodeJS.Signals | null): string => signal ?? `exit code ${code}`;

/** It ends with us, by the channel between us, or by the kernel's word where the system can be asked for that. */
function spawnGuarded(spec: ChildSpec, setpriv: string | undefined): ChildProcess {
  const isGuarded = !spec.ipc && setpriv !== undefined;
  const file = isGuarded ? setpriv : spec.command;
  const args = isGuarded ? ['--pdeathsig', 'TERM', '--', spec.command, ...spec.args] : spec.args;
  return spawn(file, args, {
    env: spec.env as NodeJS.ProcessEnv,
    // A group of its own: Ctrl-C reaches the supervisor alone, which then stops its children in order.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', ...(spec.ipc ? (['ipc'] as const) : [])],
  });
}

export function manageChild(spec: ChildSpec, ports: ManagedChildPorts) {
  const log = openLogFile(ports.logPath(spec.name));
  const notable = notableLines((line) => ports.say(`${spec.name}: ${line}`));
  const restart = new AbortController();
  let child: ChildProcess | undefined;
  let gone: Promise<void> = Promise.resolve();
  let stopping = false;
  let wasReady = false;
  let saidReady = false;
  let deaths = 0;
  let pauseMs = FIRST_PAUSE_MS;

  /** A full disk must not end what keeps everything alive: then the next run alone may miss this child. */
  function remember(pid: number): void {
    try {
      ports.started(spec.name, pid);
    } catch (error) {
      ports.say(`${spec.name}: its process id could not be written down: ${describeError(error)}`);
    }
  }

  function launch(): void {
    const startedAt = performance.now();
    const running = spawnGuarded(spec, ports.setpriv);
    child = running;
    if (running.pid !== undefined) remember(running.pid);
    running.stdout?.on('data', (chunk: Buffer) => {
      log.write(chunk);
      notable(chunk.toString('utf8'));
    });
    running.stderr?.on('data', (chunk: Buffer) => log.write(chunk));
    running.on('message', (message) => {
      saidReady ||= (message as { ready?: unknown }).ready === true;
    });
    gone = new Promise((resolve) => {
      running.once('exit', (code, signal) => {
        resolve();
        onEnd(howItEnded(code, signal), performance.now() - startedAt);
      });
      running.once('error', (error) => {
        // Only a process that never began sends no exit.
        if (running.pid !== undefined) return;
        resolve();
        onEnd(error.message, 0);
      });
    });
  }

  function onEnd(how: string, livedMs: number): void {
    child = undefined;
    ports.ended(spec.name);
    if (stopping) return;
    deaths += 1;
    if (!wasReady && deaths >= DEATHS_BEFORE_READY) return;
    pauseMs = livedMs >= SETTLED_MS ? FIRST_PAUSE_MS : pauseMs;
    // Before it was ever ready, the failure that may follow says it all in one line.
    if (wasReady) ports.say(`${spec.name} ended (${how}); it is started again in ${pauseMs} ms`);
    const pause = pauseMs;
    pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
    void relaunch(pause);
  }

  const isReady = async (): Promise<boolean> => (spec.ready === 'says-so' ? saidReady : spec.ready());
  async function relaunch(afterMs: number): Promise<void> {
    await sleep(afterMs, restart.signal);
    if (!stopping) launch();
  }

  return {
    /** Start it and keep it; resolves when it is ready. Rejects with `CHILD_FAILED` when it keeps dying before that. */
    async start(signal: AbortSignal): Promise<void> {
      launch();
      while (!(await isReady())) {
        signal.throwIfAborted();
        if (deaths >= DEATHS_BEFORE_READY) {
          const why = whyItEnded(log.lastLines());
          throw new CodedError('CHILD_FAILED', `${spec.name} does not start: ${why} (${log.path})`);
        }
        await delay(READY_POLL_MS, undefined, { signal });
      }
      wasReady = true;
    },
    /** Stop and keep it stopped; resolves when it is gone. Safe to repeat; `now` kills. */
    async stop(now = false): Promise<void> {
      stopping = true;
      restart.abort();
      const running = child;
      if (!running?.pid) return;
      const group = -running.pid;
      signalProcess(group, now ? 'SIGKILL' : 'SIGTERM');
      const timer = setTimeout(() => {
        ports.say(`${spec.name} did not stop within ${spec.stopMs} ms; it is killed`);
        signalProcess(group, 'SIGKILL');
      }, spec.stopMs);
      await gone;
      clearTimeout(timer);
      // What it left behind in its group goes too.
      signalProcess(group, 'SIGKILL');
    },
  };
}
export type ManagedChild = ReturnType<typeof manageChild>;
