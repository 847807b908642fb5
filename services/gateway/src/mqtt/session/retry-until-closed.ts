import { setMaxListeners } from 'node:events';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { retryUntil } from '@khumbu/shared/runtime/retry-until';
import { assertMay, type Standing } from '../../leader/standing.js';

const RETRY_MS = 200;

/** Try until it is done. Rejects only once the session is over: then it is for the next one to do. */
export type RetryUntilClosed = (what: string, work: () => Promise<unknown>) => Promise<void>;

export function createRetryUntilClosed(over: AbortSignal, log: Logger): RetryUntilClosed {
  // Each pause listens, and while Redis is out hundreds of messages wait.
  setMaxListeners(0, over);
  return async (what, work) => {
    const onFailure = (error: unknown): void => log.debug({ what, reason: describeError(error) }, 'not done yet');
    await retryUntil(work, { pausesMs: [RETRY_MS], signal: over, onFailure });
  };
}

/**
 * Work of the leader alone. One that was frozen finds in its socket what the next one was given again and has done: it
 * waits for its lease, until its session is over.
 */
export const whileLeading = (standing: () => Standing, work: () => Promise<unknown>) => async (): Promise<void> => {
  assertMay(standing(), 'store');
  await work();
};

/** Retries work of the leader alone. */
export const asLeader =
  (retryUntilClosed: RetryUntilClosed, standing: () => Standing): RetryUntilClosed =>
  (what, work) =>
    retryUntilClosed(what, whileLeading(standing, work));
