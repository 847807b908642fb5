/** How long to wait before the next try of a transfer. Pure. */
import type { Moment } from '../clock/depot-clock.js';

export interface RetryWish {
  /** Between tries, as the request or a setting has it; seconds. */
  readonly intervalS: number;
  /** What the server asked for (`Retry-After`), seconds. */
  readonly retryAfterS?: number | undefined;
  /** Longest wait that is followed a server for, seconds. */
  readonly mostS: number;
  /** Tries that are left, 1 or more. */
  readonly triesLeft: number;
  /** When the operation has failed, monotonic. */
  readonly deadlineAt?: number | undefined;
}

export interface RetryPause {
  /** Steady. */
  readonly notBefore: number;
  readonly waitingFor: 'retry' | 'retry_after';
  /** Milliseconds since 1970. */
  readonly waitingSince: number;
}

/**
 * The longer of the interval and what the server asked for, that one up to `mostS`. A server that wants to be asked only
 * after the deadline, as no honest one does, is not followed at all. Whatever is asked for, the tries that are left all
 * come before the deadline: none is longer than its share of the time.
 */
export function retryPause(
  { intervalS, retryAfterS = 0, mostS, triesLeft, deadlineAt }: RetryWish,
  { monotonic, wall }: Moment,
): RetryPause {
  const leftMs = deadlineAt === undefined ? Number.POSITIVE_INFINITY : Math.max(0, deadlineAt - monotonic);
  const followedS = retryAfterS * 1000 < leftMs ? Math.min(retryAfterS, mostS) : 0;
  const shareMs = leftMs / (Math.max(1, triesLeft) + 1);
  const pauseMs = Math.min(Math.max(intervalS, followedS) * 1000, shareMs);
  return {
    notBefore: monotonic + Math.floor(pauseMs),
    waitingFor: followedS > intervalS ? 'retry_after' : 'retry',
    waitingSince: wall,
  };
}
