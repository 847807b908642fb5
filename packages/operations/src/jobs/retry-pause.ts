/** Whether a transfer is tried again, and how long to wait before that. Pure. */
import type { Moment } from '../clock/depot-clock.js';
import type { RecordBase } from '../records/record.js';

export interface RetryTiming {
  /** Between tries, as the request or a setting has it; seconds. */
  readonly intervalS: number;
  /** The server's `Retry-After`, seconds. */
  readonly retryAfterS?: number | undefined;
  /** So much of a `Retry-After` is followed, seconds. */
  readonly maxRetryAfterS: number;
  /** Tries that are left, 1 or more. */
  readonly triesLeft: number;
  /** When the operation fails, monotonic. */
  readonly deadlineAt?: number | undefined;
}

export interface RetryPause extends Required<Pick<RecordBase, 'notBefore' | 'waitingSince'>> {
  readonly waitingFor: 'retry' | 'retry_after';
}

/**
 * How long one is followed that nobody can wait for, because it ends after the deadline or leaves no time before it. It may be a mistake of the server, but it is no
 * leave to ask again at once. Seconds.
 */
const BEYOND_DEADLINE_S = 900;
/** What a try behind such a pause has at least. A pause of a day and a deadline in a day would leave what two clocks differ by. */
const TRY_S = 900;

const leftMs = (deadlineAt: number | undefined, { monotonic }: Pick<Moment, 'monotonic'>): number =>
  deadlineAt === undefined ? Number.POSITIVE_INFINITY : Math.max(0, deadlineAt - monotonic);

/** The longest pause: so long that the tries that are left all come before the deadline. Milliseconds. */
const shareMs = (left: number, triesLeft: number): number => left / (Math.max(1, triesLeft) + 1);

/** How much of a server's `Retry-After` is followed, in seconds. */
export function followedRetryAfterS(
  { retryAfterS = 0, maxRetryAfterS, deadlineAt }: Pick<RetryTiming, 'retryAfterS' | 'maxRetryAfterS' | 'deadlineAt'>,
  now: Pick<Moment, 'monotonic'>,
): number {
  const followedS = Math.min(retryAfterS, maxRetryAfterS);
  const isInTime = (followedS + TRY_S) * 1000 <= leftMs(deadlineAt, now);
  return isInTime ? followedS : Math.min(followedS, BEYOND_DEADLINE_S);
}

/**
 * The longer of the interval and what is followed of the server's `Retry-After`. Whatever is asked for, the tries that are left all come
 * before the deadline: the interval is no longer than its share of the time. What the server asked for is waited out where that ends
 * in time before the deadline, and the tries that are left share the rest.
 */
export function retryPause(
  { intervalS, triesLeft, deadlineAt, ...asked }: RetryTiming,
  { monotonic, wall }: Moment,
): RetryPause {
  const followedS = followedRetryAfterS({ ...asked, deadlineAt }, { monotonic });
  const left = leftMs(deadlineAt, { monotonic });
  const longestMs = shareMs(left, triesLeft);
  const followedMs = followedS * 1000 < left ? followedS * 1000 : longestMs;
  const pauseMs = Math.max(Math.min(intervalS * 1000, longestMs), followedMs);
  return {
    notBefore: monotonic + Math.floor(pauseMs),
    waitingFor: followedS > intervalS ? 'retry_after' : 'retry',
    waitingSince: wall,
  };
}

/** The settings for transfers whose request says nothing about tries. */
export interface RetrySettings {
  readonly tries: number;
  readonly retryIntervalS: number;
  readonly maxRetryAfterS: number;
}

/** A transfer that has failed `tries` times. */
export interface FailedTransfer {
  readonly request: { readonly retries?: number; readonly retry_interval_s?: number };
  readonly tries: number;
  readonly deadlineAt?: number;
  readonly run: number;
}

/**
 * Tries in all. EVerest has already added the first one to OCPP's count of repeats; 0, which only other callers send,
 * means one.
 */
export const triesAllowed = (request: FailedTransfer['request'], fallback: number): number =>
  Math.max(1, request.retries ?? fallback);

/** Whether it may wait until then and all tries that are left still come before its deadline. Monotonic. */
export function mayWaitUntil(
  until: number,
  { request, tries, deadlineAt }: Pick<FailedTransfer, 'request' | 'tries' | 'deadlineAt'>,
  settings: Pick<RetrySettings, 'tries'>,
  now: Pick<Moment, 'monotonic'>,
): boolean {
  const triesLeft = triesAllowed(request, settings.tries) - tries;
  return until - now.monotonic <= shareMs(leftMs(deadlineAt, now), triesLeft);
}

/** The members of its record for the next try; `undefined`: no tries are left. */
export function nextTry(
  { request, tries, deadlineAt, run }: FailedTransfer,
  settings: RetrySettings,
  retryAfterS: number | undefined,
  now: Moment,
): (RetryPause & { readonly run: number }) | undefined {
  const triesLeft = triesAllowed(request, settings.tries) - tries;
  if (triesLeft <= 0) return undefined;
  const { retryIntervalS, maxRetryAfterS } = settings;
  const intervalS = request.retry_interval_s ?? retryIntervalS;
  return { ...retryPause({ intervalS, retryAfterS, maxRetryAfterS, triesLeft, deadlineAt }, now), run: run + 1 };
}
