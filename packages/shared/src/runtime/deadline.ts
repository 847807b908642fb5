/** A signal with a time limit beside other signals. */

export interface Deadline {
  /** Aborts with the first of them, with its reason; for the time that is a `TimeoutError`. */
  readonly signal: AbortSignal;
  /** What it was for is over. Safe to repeat. */
  readonly clear: () => void;
}

/**
 * Keeps no process alive. Not `AbortSignal.any` of an `AbortSignal.timeout`: it does not hold what it was made of, and a
 * timeout without a reference is collected as garbage before its time and never fires.
 */
export function deadlineAfter(ms: number, ...others: readonly (AbortSignal | undefined)[]): Deadline {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new DOMException(`nothing came of it in ${ms} ms`, 'TimeoutError')), ms);
  timer.unref();
  const all = others.filter((signal) => signal !== undefined);
  return { signal: AbortSignal.any([late.signal, ...all]), clear: () => clearTimeout(timer) };
}
