/**
 * The time an installation takes: a script of it says so in the file `begun`, a line each, and waits before anything is
 * written until there is a file `go`, which it takes away. The script of a service that was killed waits as well.
 */
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Cleanup } from '../depot/cleanup.js';

const LOOK_MS = 50;

export interface InstallGate {
  /** For a round in which nothing waits now. */
  reset(installMs: number): Promise<void>;
}

export async function openInstallGate(cleanup: Cleanup, dir: string): Promise<InstallGate> {
  const begunFile = join(dir, 'begun');
  const goFile = join(dir, 'go');
  let installMs = 0;
  let passed = 0;
  let begun = 0;
  let since = performance.now();
  let isOver = false;
  const reset = async (ms: number): Promise<void> => {
    installMs = ms;
    await rm(goFile, { force: true });
    await writeFile(begunFile, '');
    [passed, begun] = [0, 0];
  };
  await reset(0);
  const letting = (async (): Promise<void> => {
    while (!isOver) {
      const now = (await readFile(begunFile, 'utf8')).split('\n').length - 1;
      if (now !== begun) since = performance.now();
      begun = now;
      // One `go` is for one of them: one that is left would let the next one through at once.
      if (passed < begun && performance.now() - since > installMs && !existsSync(goFile)) {
        passed += 1;
        await writeFile(goFile, '');
      }
      await pause(LOOK_MS);
    }
  })();
  cleanup.teardown(() => {
    isOver = true;
    return letting;
  });
  return { reset };
}
