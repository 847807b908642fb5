/**
 * A bulk order that is given again by its key: it has to be the very same request, or the depot takes it for another one.
 * So nothing of it may hang on the clock or on what a filter has chosen for a question.
 */
import { quoteArgv } from '@khumbu/station-drivers/transports/ssh/quote';
import { usage } from '../context.js';
import type { Target } from '../operations/bulk-order.js';
import { plain } from '../output/terminal.js';
import type { ConfirmFlags } from './confirm.js';
import type { GivenDate } from './flags.js';

const DATE_FLAGS = {
  since: '--since',
  until: '--until',
  retrieveAt: '--retrieve-at',
  installAt: '--install-at',
} as const;

export type DateFlags = { readonly [name in keyof typeof DATE_FLAGS]?: GivenDate };
interface KeyFlags extends DateFlags, Partial<ConfirmFlags> {
  readonly idempotencyKey?: string;
  readonly dryRun: boolean;
}

/** `--since` and its date, and so on: those that were given as a time from now. */
const relativeDates = (flags: DateFlags): string[][] =>
  Object.entries(DATE_FLAGS).flatMap(([name, flag]) => {
    const date = flags[name as keyof DateFlags];
    return date?.isRelative ? [[flag, date.at]] : [];
  });

/** Throws a `Failure` for a key with which the same words would be another request the next time. */
export function mustBeRepeatable(flags: KeyFlags): void {
  if (flags.idempotencyKey === undefined) return;
  const [relative] = relativeDates(flags);
  if (relative)
    throw usage(`with --idempotency-key a date is given whole, so that it stays the same: ${relative.join(' ')}`);
  if (flags.yes === false && !flags.dryRun)
    throw usage('with --idempotency-key nobody is asked: --yes says that it may be done');
}

/**
 * How the same order is given again. `isAsked`: where nobody has said `--yes`; `chosen`: stations that were chosen for the
 * question, in place of those of the command. Pure.
 */
export function againText(
  key: string,
  flags: DateFlags,
  { isAsked, chosen }: { readonly isAsked: boolean; readonly chosen?: Target['stations'] },
): string {
  const words = [...(isAsked ? ['--yes'] : []), '--idempotency-key', key];
  const dates = relativeDates(flags).flat();
  const parts = [
    `the same command with ${quoteArgv(words)} goes on with it, and does nothing twice`,
    ...(dates.length === 0 ? [] : [`its dates are then ${quoteArgv(dates)}`]),
    ...(chosen === undefined ? [] : [`its stations, beside the filter, are then ${quoteArgv(chosen)}`]),
  ];
  return plain(parts.join('; '));
}
