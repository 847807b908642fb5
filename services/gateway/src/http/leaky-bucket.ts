/**
 * A leaky bucket (as a queue) for answers that need no key: refusals, probes, documents. A flood of requests is answered at
 * a constant rate, and the thread is left to the stations.
 */

export interface LeakyBucketOptions {
  readonly perSecond: number;
  /** Answers that go out at once after a rest. */
  readonly burst: number;
  /** More than these are not taken. */
  readonly mostWaiting: number;
}

/** Resolves when it is time to answer; `undefined`: too many wait already. */
export type LeakyBucket = () => Promise<void> | undefined;

export function createLeakyBucket({ perSecond, burst, mostWaiting }: LeakyBucketOptions): LeakyBucket {
  const everyMs = 1000 / perSecond;
  const waiting: (() => void)[] = [];
  /** When the next one is due. In the past: the time since then is unused capacity, up to `burst`. */
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
