/**
 * What a step makes of an error of a station's driver. Pure.
 *
 * Ends at once, for trying again changes nothing: nobody but a person can.
 *
 * | code | why |
 * |---|---|
 * | `STATION_FULL` | room at a station does not come by itself; each try would look again, for hours |
 * | `IMAGE_CHANGED` | it has arrived as another one twice: the file of the depot is not what was verified |
 * | `DRIVER_UNUSABLE` | a package that cannot be loaded is not loaded anew by a process that runs |
 * | `NOT_SUPPORTED` | the driver cannot do it at this station |
 * | `ARGUMENT_REFUSED` | a word of a command can never be an argument |
 * | `EFFECT_RETIRED` | the station was told that nothing of this operation begins any more, and keeps that |
 *
 * Is waited for, and shown: `STATION_UNREACHABLE` (power, network, a boot), `STATION_BUSY` (another effect runs there).
 *
 * Everything else is tried again as an error that REST shows with its text: `STATION_FAILED` and `OUTPUT_TOO_LONG` (a state
 * folder that is full or read-only, a command that floods: mended at the station while it waits), `EFFECT_LOST` (a state folder
 * was lost: the effect begins again, and writes in full).
 */
import type { Moment } from '@khumbu/operations/clock/depot-clock';
import { putOff, type StepContext } from '@khumbu/operations/jobs/job-loop';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import type { Transaction } from '@khumbu/operations/kinds/store';
import { type Reason, reasonOfCode } from '@khumbu/operations/records/reasons';
import type { StoredWait } from '@khumbu/operations/records/wait-words';
import { CodedError } from '@khumbu/shared/runtime/errors';

const FINAL = new Set([
  'STATION_FULL',
  'IMAGE_CHANGED',
  'DRIVER_UNUSABLE',
  'NOT_SUPPORTED',
  'ARGUMENT_REFUSED',
  'EFFECT_RETIRED',
]);

const WAITS = {
  STATION_UNREACHABLE: 'station_unreachable',
  STATION_BUSY: 'station_busy',
} as const satisfies Readonly<Record<string, StoredWait>>;
/** Of verbs that are no effects, and of a station that was taken out of the stations file. */
const ONCE = new Set([
  'STATION_FAILED',
  'OUTPUT_TOO_LONG',
  'CLOCK_REFUSED',
  'NETWORK_FAILED',
  'STATION_NOT_CONFIGURED',
]);
const isWaitedFor = (code: string): code is keyof typeof WAITS => Object.hasOwn(WAITS, code);

/** Every code by which a driver says that it did not do what it was asked, for what is tried once. */
export const isDriverFault = (error: unknown): error is CodedError =>
  error instanceof CodedError && (FINAL.has(error.code) || isWaitedFor(error.code) || ONCE.has(error.code));

/** How soon a station that is away, or busy, is looked at again. */
const LOOK_MS = 5000;

export interface FinalFault {
  readonly reason: Reason;
  readonly message: string;
}

/** Trying again cannot help. `undefined`: it may. */
export const finalFault = (error: unknown): FinalFault | undefined =>
  error instanceof CodedError && FINAL.has(error.code)
    ? { reason: reasonOfCode(error), message: error.message }
    : undefined;

/** The record put off, with what it waits for. `undefined`: the error is nothing to wait for. */
export function waitedOut<R extends OperationRecord>(record: R, error: unknown, now: Moment): R | undefined {
  const code = error instanceof CodedError ? error.code : '';
  return isWaitedFor(code) ? putOff(record, LOOK_MS, WAITS[code], now) : undefined;
}

/** Do a part of a step. Of what it fails with `settle` says what is stored; `undefined`: it is tried again as any other error. */
export async function orSettle(
  { signal, isOurs, commit }: StepContext,
  act: () => Promise<void>,
  settle: (error: unknown) => Promise<Transaction | undefined>,
): Promise<void> {
  try {
    await act();
  } catch (error) {
    // What failed here may be going well at another worker.
    if (signal.aborted || !(await isOurs())) throw error;
    const transaction = await settle(error);
    if (!transaction) throw error;
    await commit(transaction);
  }
}
