/** `khumbu`: its composition root. */
import { ExitCode, proposeCompletions, run, type StricliProcess } from '@stricli/core';
import { app } from './app.js';
import { PROPOSE } from './completion/scripts.js';
import type { CliContext } from './context.js';
import { EXITS, type Exit } from './exit-codes.js';
import { createTerminal } from './output/terminal.js';

const interruption = new AbortController();
let isInterrupted = false;
const interrupt = (): void => {
  if (isInterrupted) process.exit(EXITS.interrupted.code);
  isInterrupted = true;
  interruption.abort(new DOMException('interrupted', 'AbortError'));
};
process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
// Whoever read has ended, as `head` does.
process.stdout.on('error', () => process.exit(EXITS.interrupted.code));
process.stderr.on('error', () => undefined);

/** The library writes its help and its complaints there, and how it ended. */
const outlet: StricliProcess = { stdout: process.stdout, stderr: process.stderr };
const context = {
  process: outlet,
  env: process.env,
  terminal: createTerminal(process, interruption.signal),
  signal: interruption.signal,
  ending: { exit: 'done' as Exit },
} satisfies CliContext;

/** Of the library: a word that is no command, or arguments that do not fit. */
const WRONG_CALL: ReadonlySet<unknown> = new Set([ExitCode.UnknownCommand, ExitCode.InvalidArgument]);

const words = process.argv.slice(2);
if (PROPOSE.every((word, at) => words[at] === word)) {
  const proposals = await proposeCompletions(app, words.slice(PROPOSE.length), context);
  for (const { completion } of proposals) context.terminal.print(completion);
} else {
  await run(app, words, context);
  const { exitCode } = outlet;
  if (WRONG_CALL.has(exitCode)) process.exitCode = EXITS.usage.code;
  else if (exitCode !== ExitCode.Success) process.exitCode = EXITS.internal.code;
  else process.exitCode = EXITS[context.ending.exit].code;
}
