/** Who works when: a few at a time, the others in line, each caller in turn, so that one with many requests delays himself. */
import { performance } from 'node:perf_hooks';
import { Problem } from './problems.js';

export interface TurnsOptions {
  /** Pieces of work that are under way at once. */
  readonly atOnce: number;
  /** Requests in line, of all callers. */
  readonly mostWaiting: number;
  /** Whoever waits for longer is told to come again. */
  readonly longestWaitMs: number;
}

interface Waiting {
  readonly since: number;
  readonly isGone: () => boolean;
  readonly start: () => void;
  readonly refuse: (problem: Problem) => void;
}

export interface Turns {
  /**
   * Do the work when it is the caller's turn. `isGone`: nobody waits for it any more, so it is not begun. Rejects with
   * `READS_BUSY` when the line is full or the wait too long.
   */
  run<T>(caller: string, isGone: () => boolean, work: () => Promise<T>): Promise<T>;
  waiting(): number;
}

const RETRY = 'Too much is being read at this gateway now.';

export function createTurns({ atOnce, mostWaiting, longestWaitMs }: TurnsOptions): Turns {
  /** Callers in the order of their turns; each with his own line. */
  const lines = new Map<string, Waiting[]>();
  let working = 0;
  let waiting = 0;
  let timer: NodeJS.Timeout | undefined;

  const takeNext = (): Waiting | undefined => {
    for (const [caller, line] of lines) {
      lines.delete(caller);
      const next = line.shift();
      if (line.length > 0) lines.set(caller, line);
      if (!next) continue;
      waiting -= 1;
      return next;
    }
    return undefined;
  };

  const startSome = (): void => {
    while (working < atOnce) {
      const next = takeNext();
      if (!next) return;
      if (next.isGone()) next.refuse(new Problem('READS_BUSY'));
      else {
        working += 1;
        next.start();
      }
    }
  };

  /** The oldest of each line stands first. */
  const refuseLate = (): void => {
    const before = performance.now() - longestWaitMs;
    for (const [caller, line] of lines) {
      const kept = line.findIndex(({ since }) => since > before);
      const late = line.splice(0, kept < 0 ? line.length : kept);
      waiting -= late.length;
      for (const one of late) one.refuse(new Problem('READS_BUSY', RETRY));
      if (line.length === 0) lines.delete(caller);
    }
    if (waiting > 0) return;
    clearInterval(timer);
    timer = undefined;
  };

  const turnOf = (caller: string, isGone: () => boolean): Promise<void> => {
    if (working < atOnce && waiting === 0) {
      working += 1;
      return Promise.resolve();
    }
    if (waiting >= mostWaiting) return Promise.reject(new Problem('READS_BUSY', RETRY));
    return new Promise((start, refuse) => {
      const line = lines.get(caller) ?? [];
      line.push({ since: performance.now(), isGone, start, refuse });
      lines.set(caller, line);
      waiting += 1;
      timer ??= setInterval(refuseLate, Math.min(1000, longestWaitMs)).unref();
    });
  };

  return {
    async run(caller, isGone, work) {
      await turnOf(caller, isGone);
      try {
        return await work();
      } finally {
        working -= 1;
        startSome();
      }
    },
    waiting: () => waiting,
  };
}
