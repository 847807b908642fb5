/** A read that is tried again until it succeeds, one at a time. */
import { pause } from '@khumbu/client/pause';
import { ProblemError } from '@khumbu/client/problem-error';
import { pauseBefore } from '@khumbu/client/retries';

/** Between two reads that succeeded: what asks for another one may go on failing. */
const REST_MS = 2000;
/** Where the answer would be the same again: somebody may change that. */
const FINAL_MS = 30_000;

/**
 * The function that is returned asks for a read; one that is asked for while another is under way begins behind it. `onFailure` is told each failure.
 * Nothing begins once the signal has fired.
 */
export function createPatientRead(
  read: () => Promise<void>,
  onFailure: (error: unknown) => void,
  signal: AbortSignal,
): () => Promise<void> {
  let isRunning = false;
  let isAsked = false;
  const attempt = async (tried: number): Promise<number | undefined> => {
    try {
      await read();
      return undefined;
    } catch (error) {
      onFailure(error);
      return pauseBefore(tried, error instanceof ProblemError ? error : undefined, Math.random()) ?? FINAL_MS;
    }
  };
  return async () => {
    isAsked = true;
    if (isRunning) return;
    isRunning = true;
    for (let tried = 1; isAsked && !signal.aborted; tried += 1) {
      isAsked = false;
      const againMs = await attempt(tried);
      if (againMs === undefined) tried = 0;
      else isAsked = true;
      // The loop looks at the signal.
      await pause(againMs ?? REST_MS, signal).catch(() => undefined);
    }
    isRunning = false;
  };
}
