/** So many pieces of all downloads of a process are in memory at once; the others wait. */
import { onAbort } from '@khumbu/shared/runtime/abort';

export type InTurn = <T>(signal: AbortSignal, work: () => Promise<T>) => Promise<T>;

/** What it makes settles as the work does, once that had its turn; rejects with the reason of the signal while it waits. First come, first served. */
export function createTurns(most: number): InTurn {
  let free = most;
  const waiting = new Set<() => void>();
  const take = async (signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    if (free > 0) {
      free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const begin = (): void => {
        withdraw();
        resolve();
      };
      const withdraw = onAbort(signal, () => {
        waiting.delete(begin);
        reject(signal.reason as Error);
      });
      waiting.add(begin);
    });
  };
  const give = (): void => {
    const [next] = waiting;
    if (!next) {
      free += 1;
      return;
    }
    waiting.delete(next);
    next();
  };
  return async (signal, work) => {
    await take(signal);
    try {
      return await work();
    } finally {
      give();
    }
  };
}
