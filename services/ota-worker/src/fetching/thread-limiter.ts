/**
 * What a fetch in a thread of its own reports of the bytes that come, and where it waits for its turn: the meter is in the
 * thread of the service, which has the connection to Redis.
 */
import { onAbort } from '@khumbu/shared/runtime/abort';
import type { RateLimiter } from '@khumbu/transfer/port';

/**
 * So often, or after so many bytes, what has come is reported: the service counts that once more in a row. On a fast line each
 * report costs both threads as much as some hundred KiB.
 */
const REPORT_MS = 100;
const REPORT_BYTES = 4 * 1024 * 1024;

/** Answered by `granted`, where it waits. */
export interface Received {
  readonly kind: 'received';
  /** Since the last report. */
  readonly bytes: number;
  readonly waits: boolean;
}

/** So many bytes may be read. */
export interface Granted {
  readonly kind: 'granted';
  readonly bytes: number;
}

export interface ThreadLimiter extends RateLimiter {
  granted(bytes: number): void;
  /** Reports the rest. */
  end(): void;
}

/** `pieceBytes`: absent: there is no limit, and nothing waits. */
export function createThreadLimiter(post: (message: Received) => void, pieceBytes: number | undefined): ThreadLimiter {
  let unreported = 0;
  let timer: NodeJS.Timeout | undefined;
  let allowed = 0;
  let onGranted: (() => void) | undefined;
  let waiting: Promise<void> | undefined;

  const report = (waits: boolean): void => {
    post({ kind: 'received', bytes: unreported, waits });
    unreported = 0;
    clearTimeout(timer);
    timer = undefined;
  };
  const granted = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const withdraw = onAbort(signal, () => {
        onGranted = undefined;
        reject(signal.reason as Error);
      });
      onGranted = () => {
        withdraw();
        onGranted = undefined;
        resolve();
      };
    });
  const wait = async (signal: AbortSignal): Promise<void> => {
    while (allowed < 0) {
      signal.throwIfAborted();
      const turn = granted(signal);
      report(true);
      await turn;
    }
  };

  return {
    ...(pieceBytes === undefined ? {} : { pieceBytes }),
    take(bytes, signal) {
      unreported += bytes;
      if (pieceBytes === undefined) {
        if (unreported >= REPORT_BYTES) report(false);
        // By a timer: a server may fall silent after what it has sent.
        else timer ??= setTimeout(report, REPORT_MS, false);
        return undefined;
      }
      allowed -= bytes;
      if (allowed >= 0) return undefined;
      // What came with the head of an answer is handed on in several pieces at once: they wait together.
      waiting ??= wait(signal).finally(() => {
        waiting = undefined;
      });
      return waiting;
    },
    granted(bytes) {
      allowed += bytes;
      onGranted?.();
    },
    end: () => report(false),
  };
}
