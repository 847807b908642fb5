/** The command line as a person runs it. */
import { join } from 'node:path';
import { type ChildExit, startChild } from '@khumbu/test-support/children';
import { within } from '@khumbu/test-support/events';
import { ROOT } from './document-commands.js';

export const BIN = join(ROOT, 'packages/cli/bin/khumbu.mjs');
const COMMAND_MS = 180_000;

export interface Ended {
  readonly code: ChildExit['code'];
  readonly stdout: string;
  /** What is not on stdout, and all that is: in the order in which it came. */
  readonly output: string;
}

export interface Given {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: string;
  readonly cwd?: string;
}

/** The test runner gives every child options of its own, whatever its environment says; no compiler runs under them. */
export const startKhumbu = (args: readonly string[], { env, stdin, cwd }: Given = {}) =>
  startChild('env', ['-u', 'NODE_OPTIONS', process.execPath, BIN, ...args], {
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
    stdin: stdin !== undefined,
  });

/** Resolves once it has ended by itself. */
export async function khumbu(args: readonly string[], given: Given = {}): Promise<Ended> {
  const child = await startKhumbu(args, given);
  if (given.stdin !== undefined) child.process.stdin?.end(given.stdin);
  const closed = new Promise<void>((resolve) => child.process.once('close', () => resolve()));
  await within(closed, COMMAND_MS, () => `khumbu ${args.join(' ')} to end: ${child.output()}`);
  return { code: child.exit()?.code ?? null, stdout: child.stdout(), output: child.output() };
}
