/**
 * What costs little and may be asked for by anybody, or has to be refused, is answered at a steady pace: a flood is as
 * fast as its answers, and leaves the thread to the stations.
 */
import { performance } from 'node:perf_hooks';

export interface PaceOptions {
  readonly perSecond: number;
  /** So many go out at once after a rest. */
  readonly burst: number;
  /** Beyond them `undefined`. */
  readonly mostWaiting: number;
}

/** Resolves when it is the next one's time; `undefined`: too many wait already. */
export type Pace = () => Promise<void> | undefined;

export function createPace({ perSecond, burst, mostWaiting }: PaceOptions): Pace {
  const everyMs = 1000 / perSecond;
  const waiting: (() => void)[] = [];
  /** When the next one is due; the past: so many times `everyMs` were not used. */
  let due = Number.NEGATIVE_INFINITY;

  const release = (): void => {
    const now = performance.now();
    let count = 0;
    while (count < waiting.length && due <= now) {
      waiting[count]?.();
      due += everyMs;
      count += 1;
    }
    waiting.splice(0, count);
    if (waiting.length > 0) setTimeout(release, Math.max(1, due - now));
  };

  return () => {
    const now = performance.now();
    due = Math.max(due, now - burst * everyMs);
    if (waiting.length === 0 && due <= now) {
      due += everyMs;
      return Promise.resolve();
    }
    if (waiting.length >= mostWaiting) return undefined;
    return new Promise((resolve) => {
      waiting.push(resolve);
      if (waiting.length === 1) setTimeout(release, Math.max(1, due - now));
    });
  };
}
