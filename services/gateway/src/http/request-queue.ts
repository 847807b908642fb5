/** Work of requests: a few pieces at once, the others in a queue, callers in turn, so that one with many requests delays only itself. */
import { FairQueue } from '@khumbu/shared/runtime/fair-queue';
import { Problem } from './problems.js';

export interface RequestQueueOptions {
  /** Pieces of work that are under way at once. */
  readonly atOnce: number;
  /** Requests in the queue, of all callers. */
  readonly mostWaiting: number;
  /** A request that waits for longer is refused. */
  readonly longestWaitMs: number;
}

interface Waiting {
  readonly since: number;
  readonly isGone: () => boolean;
  readonly start: () => void;
  readonly refuse: (problem: Problem) => void;
}

export type RequestQueue = ReturnType<typeof createRequestQueue>;

const BUSY = 'Too much is being read at this gateway now.';

export function createRequestQueue({ atOnce, mostWaiting, longestWaitMs }: RequestQueueOptions) {
  const queue = new FairQueue<Waiting>();
  let working = 0;
  let timer: NodeJS.Timeout | undefined;

  const startSome = (): void => {
    while (working < atOnce) {
      const next = queue.next();
      if (!next) return;
      if (next.isGone()) next.refuse(new Problem('READS_BUSY'));
      else {
        working += 1;
        next.start();
      }
    }
  };

  const refuseLate = (): void => {
    const before = performance.now() - longestWaitMs;
    for (const late of queue.removeWhere(({ since }) => since <= before)) late.refuse(new Problem('READS_BUSY', BUSY));
    if (queue.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };

  const turnOf = (caller: string, isGone: () => boolean): Promise<void> => {
    if (working < atOnce && queue.size === 0) {
      working += 1;
      return Promise.resolve();
    }
    if (queue.size >= mostWaiting) return Promise.reject(new Problem('READS_BUSY', BUSY));
    return new Promise((start, refuse) => {
      queue.add(caller, { since: performance.now(), isGone, start, refuse });
      timer ??= setInterval(refuseLate, Math.min(1000, longestWaitMs)).unref();
    });
  };

  return {
    /**
     * Do the work when it is the caller's turn. `isGone`: the caller has disconnected, so the work is not begun. Rejects
     * with `READS_BUSY` when the queue is full or the wait too long.
     */
    async run<T>(caller: string, isGone: () => boolean, work: () => Promise<T>): Promise<T> {
      await turnOf(caller, isGone);
      try {
        return await work();
      } finally {
        working -= 1;
        startSome();
      }
    },
    waiting: (): number => queue.size,
  };
}
