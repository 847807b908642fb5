/**
 * A part of the load in a process of its own, so that both sides of a comparison pay the same for it. It is called by
 * name over the IPC channel; `serveCalls` is its side.
 */
import { readFile } from 'node:fs/promises';
import type { Cleanup } from '@khumbu/chaos/depot/cleanup';
import { type Child, startChild } from '@khumbu/test-support/children';

/** Of Linux, for the numbers in /proc; the same on every platform Node runs on. */
const TICKS_PER_S = 100;

/** Processor time a process has used so far, in seconds. */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name before these fields may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S;
}

interface Call {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}
interface Reply {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: string;
}

export interface Remote {
  readonly pid: number;
  call<T>(name: string, argument?: unknown): Promise<T>;
  end(): Promise<void>;
}

/** Start a script of this folder; `cleanup` ends it. */
export async function startRemote(cleanup: Cleanup, script: string, flags: readonly string[] = []): Promise<Remote> {
  const path = new URL(`./${script}.js`, import.meta.url).pathname;
  // The test runner gives every child options of its own.
  const env = { ...process.env, NODE_OPTIONS: '' };
  const child: Child = await startChild(process.execPath, [...flags, path], { ipc: true, env });
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let calls = 0;
  child.process.on('message', ({ id, result, error }: Reply) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(`${script}: ${error}`));
  });
  void child.exited.then(() => {
    for (const { reject } of waiting.values()) reject(new Error(`${script} ended: ${child.output()}`));
  });
  const end = async (): Promise<void> => void (await child.end('SIGKILL'));
  cleanup.teardown(end);
  return {
    pid: child.pid,
    call: <T>(name: string, argument?: unknown) =>
      new Promise<T>((resolve, reject) => {
        const id = calls++;
        waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
        child.process.send({ id, name, argument } satisfies Call, (error) => error && reject(error));
      }),
    end,
  };
}

/** The other side: answer calls with these functions for as long as the process lives. */
export function serveCalls(functions: Readonly<Record<string, (argument: never) => unknown>>): void {
  process.on('message', ({ id, name, argument }: Call) => {
    const reply = (answer: Omit<Reply, 'id'>): void => void process.send?.({ id, ...answer });
    Promise.resolve()
      .then(() => functions[name]?.(argument as never))
      .then(
        (result) => reply({ result }),
        (error: unknown) => reply({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
      );
  });
}
