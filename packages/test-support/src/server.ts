/** A server program under test: starts on a free port, can be killed and started again on the same one. */
import { freePort } from '@khumbu/shared/runtime/free-port';
import { type Child, startChild } from './children.js';
import { awaitUntil } from './events.js';

const READY_MS = 15_000;
const PORT_TRIES = 5;

export interface ServerRecipe {
  readonly command: string;
  args(port: number): string[];
  /** Write what it needs before it starts. */
  prepare?(port: number): Promise<void>;
  /** Whether it serves on this port by now. */
  answers(port: number): Promise<boolean>;
}

/** Start the program; with port 0 on a free port. Rejects with what it wrote if it does not come up. */
export async function startServer(recipe: ServerRecipe, wantedPort = 0) {
  async function launch(port: number): Promise<Child> {
    await recipe.prepare?.(port);
    const child = await startChild(recipe.command, recipe.args(port));
    try {
      const up = await awaitUntil(
        async () => (child.exit() ? 'ended' : (await recipe.answers(port)) && 'up'),
        READY_MS,
        () => `${recipe.command} to answer on port ${port}: ${child.output()}`,
      );
      if (up === 'up' && !child.exit()) return child;
    } catch (error) {
      await child.end('SIGKILL');
      throw error;
    }
    throw new Error(`${recipe.command} did not start on port ${port}: ${child.output()}`);
  }

  let port = wantedPort || (await freePort());
  let child: Child | undefined;
  for (let tries = 1; !child; tries += 1) {
    try {
      child = await launch(port);
    } catch (error) {
      if (wantedPort !== 0 || tries >= PORT_TRIES) throw error;
      // Another test may have taken the port since we looked.
      port = await freePort();
    }
  }
  let running = child;
  return {
    port,
    /** Of the process that runs now. */
    get pid() {
      return running.pid;
    },
    /** End it in its own order (SIGTERM). Safe to repeat. */
    async stop(): Promise<void> {
      running.process.kill('SIGCONT');
      await running.end('SIGTERM');
    },
    /** SIGKILL; resolves when it is gone. */
    async kill(): Promise<void> {
      await running.end('SIGKILL');
    },
    /** SIGKILL if it still runs, then start it again: same port, same data. Resolves when it answers. */
    async restart(): Promise<void> {
      await running.end('SIGKILL');
      running = await launch(port);
    },
    /** SIGSTOP: it holds its connections and answers nothing. */
    freeze: () => void running.process.kill('SIGSTOP'),
    thaw: () => void running.process.kill('SIGCONT'),
    /** The end of what it wrote. */
    output: () => running.output(),
  };
}
export type ServerProgram = Awaited<ReturnType<typeof startServer>>;
