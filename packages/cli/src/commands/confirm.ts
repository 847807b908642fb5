/** A person says yes before something happens that a driver would notice. */
import type { FlagParametersForType } from '@stricli/core';
import { type CliContext, usage } from '../context.js';
import type { DepotFlags } from '../depot/choose-depot.js';
import { Failure } from '../failure.js';

export interface ConfirmFlags {
  readonly yes: boolean;
}
export const CONFIRM_FLAGS: FlagParametersForType<ConfirmFlags, CliContext> = {
  yes: { kind: 'boolean', default: false, brief: 'Do not ask' },
};
type Flags = ConfirmFlags & Pick<DepotFlags, 'keyStdin'>;

/** Throws a `Failure` where an answer is needed and nobody is there to give it. */
export function mustBeAnswerable({ terminal }: CliContext, { yes, keyStdin }: Flags): void {
  if (!yes && (!terminal.isAnswering || keyStdin)) throw usage('nobody can be asked: --yes says that it may be done');
}

/** `what`: sentences that say what will happen. Rejects with a `Failure` unless the answer is yes. */
export async function confirmed(context: CliContext, flags: Flags, what: string): Promise<void> {
  mustBeAnswerable(context, flags);
  if (flags.yes) return;
  const answer = await context.terminal.line(`${what} Type yes: `, false);
  if (answer !== 'yes') throw new Failure('interrupted', 'NOT_CONFIRMED', 'nothing was asked of any station');
}
