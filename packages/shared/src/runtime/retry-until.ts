/** Work that is tried again, and work that is done again and again, both until a signal fires. */
import { sleep } from './abort.js';

export interface RetryRules {
  /** Milliseconds after the first failure, after the second and so on; the last one counts for all that follow. */
  readonly pausesMs: readonly number[];
  /** No try begins after it has fired, but the first. */
  readonly signal?: AbortSignal | undefined;
  /** Tries in all; by default there is no limit. */
  readonly tries?: number;
  /** By default every error is. */
  readonly isRetryable?: (error: unknown) => boolean;
  /** A failure that is followed by another try. */
  readonly onFailure?: (error: unknown) => void;
}

/**
 * Resolves with the result of the first try that succeeds. Rejects with the error of the last try: when it is not
 * retryable, when no tries are left, or when the signal has fired.
 */
export async function retryUntil<T>(work: () => Promise<T>, rules: RetryRules): Promise<T> {
  const { pausesMs, signal, tries = Number.POSITIVE_INFINITY, isRetryable, onFailure } = rules;
  for (let failures = 1; ; failures += 1) {
    try {
      return await work();
    } catch (error) {
      if (failures >= tries || signal?.aborted || isRetryable?.(error) === false) throw error;
      onFailure?.(error);
      await sleep(pausesMs[Math.min(failures, pausesMs.length) - 1] ?? 0, signal);
      if (signal?.aborted) throw error;
    }
  }
}

/** Do the work now and `everyMs` after each end of it. A failure is reported and ends nothing. Resolves once the signal has fired. */
export async function repeatUntil(
  signal: AbortSignal,
  everyMs: number,
  work: () => Promise<unknown>,
  onFailure: (error: unknown) => void,
): Promise<void> {
  while (!signal.aborted) {
    await work().catch((error: unknown) => {
      if (!signal.aborted) onFailure(error);
    });
    await sleep(everyMs, signal);
  }
}
