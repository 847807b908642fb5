/** So many bytes in a second, a second's worth at once. */
import { sleep } from '@khumbu/shared/runtime/abort';

export function createPace(bytesPerS: number, now: () => number = () => performance.now()) {
  let freeAt = now();
  /** Resolves when more may follow. */
  return async (bytes: number, signal: AbortSignal): Promise<void> => {
    freeAt = Math.max(freeAt, now()) + (bytes / bytesPerS) * 1000;
    const aheadMs = freeAt - now() - 1000;
    if (aheadMs > 0) await sleep(aheadMs, signal);
  };
}
