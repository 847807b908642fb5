/** Whether and how a station's clock is put right: not at all, by a slew, or by a step. Pure. */
import { SYSTEM_TIME_TTL_MS } from '@khumbu/operations/kinds/set-system-time/record';
import type { Reason } from '@khumbu/operations/records/reasons';
import type { ClockPolicy } from '@khumbu/shared/stations/stations-file';

export type ToldTime = { readonly value: number; readonly ageMs: number };

/** A clock that shows less was never set: no station was made before. As for times that are told. */
const NEVER_SET_BEFORE = Date.UTC(2024, 0, 1);

export const isStale = ({ ageMs }: ToldTime): boolean => ageMs < 0 || ageMs > SYSTEM_TIME_TTL_MS;

/** What to do with a received time that is `ageMs` old, at a station whose clock shows `clockMs`. */
export function judgeTime(
  told: ToldTime,
  clockMs: number,
  toleranceMs: number,
): { readonly kind: 'set'; readonly to: number } | { readonly kind: 'stale' } | { readonly kind: 'close_enough' } {
  if (isStale(told)) return { kind: 'stale' };
  const to = told.value + told.ageMs;
  return Math.abs(clockMs - to) <= toleranceMs ? { kind: 'close_enough' } : { kind: 'set', to };
}

export interface ClockSituation {
  readonly clockMs: number;
  readonly to: number;
  readonly policy: ClockPolicy;
  /** The time was given over REST. */
  readonly byPerson: boolean;
  /** A transaction runs there; false also where that is not known. */
  readonly transactionRuns: boolean;
  readonly canSlew: boolean;
}

export type Correction =
  /** The clock is to gain so much, or to lose it. */
  | { readonly kind: 'slew'; readonly byMs: number }
  | { readonly kind: 'step'; readonly to: number }
  | { readonly kind: 'leave'; readonly reason: Reason };

/**
 * A slew keeps the order of what is stamped, so it may be made while a transaction runs; a step never, whoever asks for it:
 * meter values and the transaction's duration would be of two clocks.
 */
export function decideCorrection(situation: ClockSituation): Correction {
  const { clockMs, to, policy, byPerson, transactionRuns, canSlew } = situation;
  const byMs = to - clockMs;
  if (canSlew && Math.abs(byMs) <= policy.slewBelowMs) return { kind: 'slew', byMs };
  if (transactionRuns) return { kind: 'leave', reason: 'transaction_running' };
  const isLimited = !byPerson && clockMs >= NEVER_SET_BEFORE;
  if (isLimited && Math.abs(byMs) > policy.largestStepMs) return { kind: 'leave', reason: 'clock_step_too_large' };
  return { kind: 'step', to };
}
