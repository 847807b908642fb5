/** One process of the depot: started again when it ends, as a supervisor would; killed, frozen and thawed by name. */
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { type Child, startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';

const RESTART_PAUSE_MS = 100;
const READY_MS = 90_000;

export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether it serves by now. */
  readonly ready: () => Promise<boolean>;
}

export interface DepotProcess {
  readonly name: string;
  /** Of the process that runs now; `undefined` between two. */
  readonly pid: number | undefined;
  /** How often it ended without being asked to. */
  readonly deaths: number;
  /** Resolves when it serves. */
  start(): Promise<void>;
  /** SIGKILL; it is started again after a moment. */
  kill(): void;
  /** SIGSTOP and SIGCONT. */
  freeze(): void;
  thaw(): void;
  /** End it (SIGTERM, or the signal) and keep it ended, until `start`. Safe to repeat. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Resolves when it serves (again). */
  awaitReady(deadlineMs?: number): Promise<void>;
  /** What it logged last, for a person who wants to know why. */
  output(): string;
  /** How much the process that runs now has logged. */
  logBytes(): number;
  /** Resident set of the process that runs now, in bytes. */
  rssBytes(): Promise<number>;
}

export function createProcess(spec: ProcessSpec): DepotProcess {
  let child: Child | undefined;
  let wanted = false;
  let deaths = 0;
  let lastWords = '';

  async function keep(): Promise<void> {
    while (wanted) {
      const running = await startChild(spec.command, spec.args, { env: spec.env });
      child = running;
      await running.exited;
      lastWords = running.output();
      child = undefined;
      if (!wanted) return;
      deaths += 1;
      await delay(RESTART_PAUSE_MS);
    }
  }

  const signal = (name: NodeJS.Signals): void => void child?.process.kill(name);
  const awaitReady = async (deadlineMs = READY_MS): Promise<void> => {
    await awaitUntil(async () => child !== undefined && (await spec.ready()), deadlineMs, `${spec.name} to be ready`);
  };
  return {
    name: spec.name,
    get pid() {
      return child?.pid;
    },
    get deaths() {
      return deaths;
    },
    async start() {
      if (!wanted) {
        wanted = true;
        void keep();
      }
      await awaitReady().catch((error: unknown) => {
        throw new Error(`${spec.name} does not start: ${child?.output() ?? lastWords}`, { cause: error });
      });
    },
    kill: () => signal('SIGKILL'),
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    async stop(how = 'SIGTERM') {
      wanted = false;
      const running = child;
      if (!running) return;
      running.process.kill('SIGCONT');
      await running.end(how, 10_000);
    },
    awaitReady,
    output: () => child?.output() ?? lastWords,
    logBytes: () => child?.stdout().length ?? 0,
    async rssBytes() {
      if (!child) return 0;
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    },
  };
}
