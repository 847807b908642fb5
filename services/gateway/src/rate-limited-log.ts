/**
 * KeyedQueue that anybody can cause by sending something: so many of one text in a while, then one that says how many were
 * left out. What an operation needs to be followed by is logged without this.
 */
import type { Logger } from '@khumbu/shared/runtime/logger';

const WINDOW_MS = 10_000;
const LINES = 20;

/** `undefined`: do not log now; otherwise how many were left out since the last line. */
export function createLogLimiter(now: () => number): (kind: string) => number | undefined {
  const kinds = new Map<string, { since: number; lines: number; left: number }>();
  return (kind) => {
    const seen = kinds.get(kind);
    if (!seen || now() - seen.since >= WINDOW_MS) {
      kinds.set(kind, { since: now(), lines: 1, left: 0 });
      return seen?.left ?? 0;
    }
    if (seen.lines >= LINES) {
      seen.left++;
      return undefined;
    }
    seen.lines++;
    return 0;
  };
}

export type RateLimitedLog = Record<'info' | 'warn' | 'error', (what: object, text: string) => void>;

/** `text` is the kind of the line: never put into it what was received. */
export function createRateLimitedLog(log: Logger, now: () => number = () => performance.now()): RateLimitedLog {
  const mayLog = createLogLimiter(now);
  const at = (level: keyof RateLimitedLog) => (what: object, text: string) => {
    const left = mayLog(text);
    if (left !== undefined) log[level](left > 0 ? { ...what, alsoLeftOut: left } : what, text);
  };
  return { info: at('info'), warn: at('warn'), error: at('error') };
}
