/** Which answers are worth asking again, and when. */
import type { ProblemCode, ProblemError } from './problem-error.js';

/** In each of these nothing was accepted or done, and it may well be the next time. */
const PASSING: ReadonlySet<string> = new Set<ProblemCode>([
  'SLOT_BUSY',
  'REQUEST_TIMEOUT',
  'TOO_MANY_REQUESTS',
  'TOO_MANY_EVENT_STREAMS',
  'NOT_STORED',
  'READS_BUSY',
  'WORKERS_GONE',
  'CERTIFICATE_NOT_JUDGED',
  'ARTIFACT_STORE_UNREACHABLE',
  'OBJECT_STORE_UNREACHABLE',
  'AUTHORITY_UNREACHABLE',
  'TOO_MANY_SUBSCRIBERS',
]);
/** Of a proxy in front, while gateways start anew. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([502, 503, 504]);

const FIRST_MS = 250;
const LONGEST_MS = 5000;

/**
 * Milliseconds until the next try, `undefined`: it would be the same again. `tried`: tries so far; `failure`: what was
 * answered, `undefined`: nothing at all. Pure.
 */
export function pauseBefore(
  tried: number,
  failure: Pick<ProblemError, 'status' | 'code' | 'retryAfter'> | undefined,
  random: number,
): number | undefined {
  if (failure) {
    const isPassing = failure.code === 'UNREADABLE' ? PASSING_STATUSES.has(failure.status) : PASSING.has(failure.code);
    if (!isPassing) return undefined;
    const asked = failure.retryAfter === null ? Number.NaN : Number(failure.retryAfter);
    if (Number.isFinite(asked) && asked > 0) return asked * 1000;
  }
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** (tried - 1));
  return longest * (0.5 + random / 2);
}
