/** What every command is given, and how its end becomes an exit code. */
import type { CommandContext } from '@stricli/core';
import { EXITS, type Exit } from './exit-codes.js';
import { Failure, type Told, toldOf } from './failure.js';
import { plain, type Terminal } from './output/terminal.js';

export interface CliContext extends CommandContext {
  readonly terminal: Terminal;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Fires when a person ends the command. */
  readonly signal: AbortSignal;
  /** How it ends; the first that is set stays. */
  readonly ending: { exit: Exit };
}

export interface OutputFlags {
  readonly json: boolean;
}

/** `undefined`: a fault of the command itself. */
export const toldIn = ({ signal }: CliContext, error: unknown): Told | undefined =>
  signal.aborted ? { exit: 'interrupted', code: 'INTERRUPTED', message: 'interrupted' } : toldOf(error);

/** On stderr; `--json`: as one line of JSON. */
export function sayFailure({ terminal }: CliContext, { json }: OutputFlags, { exit, ...rest }: Told): void {
  if (json) terminal.say(JSON.stringify({ error: { ...rest, exitCode: EXITS[exit].code } }));
  else terminal.say(`khumbu: ${rest.message.split('\n').map(plain).join('\n')}`);
}

function tell(context: CliContext, flags: OutputFlags, error: unknown): void {
  const { terminal, ending } = context;
  terminal.live('');
  const told = toldIn(context, error);
  ending.exit = told?.exit ?? 'internal';
  if (!told) {
    terminal.say(`khumbu: this is a fault of the command: ${error instanceof Error ? error.stack : String(error)}`);
    return;
  }
  sayFailure(context, flags, told);
}

/** A command whose failures are told in one way. */
export const acting = <F extends OutputFlags, A extends readonly unknown[]>(
  act: (context: CliContext, flags: F, ...args: A) => Promise<void>,
) =>
  async function run(this: CliContext, flags: F, ...args: A): Promise<void> {
    try {
      await act(this, flags, ...args);
      this.terminal.live('');
    } catch (error) {
      tell(this, flags, error);
    }
  };

export const usage = (message: string): Failure => new Failure('usage', 'USAGE', message);
