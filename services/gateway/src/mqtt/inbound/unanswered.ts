/**
 * Messages without an answer (resets, permissions) wait until they are stored, and unacknowledged: whatever gateway leads then
 * is given it again. While Redis is out it must not fill the broker's window, which all stations share. So of what means
 * the same only the newest waits, what waits for long stands in no other's way, and only so much of all stations waits
 * unacknowledged: what is more is acknowledged and kept by this process alone.
 */
import type { Core } from '../core.js';
import type { Incoming } from '../session/incoming.js';
import { whileLeading } from '../session/retry-until-closed.js';

/** A quarter of what the broker sends before it waits for acknowledgements. */
export const MAX_UNACKNOWLEDGED = 128;
/** What takes longer does not only wait for its turn. */
const LONG_MS = 500;

export interface Unanswered {
  /** One after the other. */
  readonly queueKey: string;
  /** Within the queueKey: done once, the newest stands for all that wait. */
  readonly meaning: string;
  readonly message: Pick<Incoming, 'acknowledge' | 'stepAside'>;
  readonly what: string;
  /** Tried until it resolves. */
  readonly work: () => Promise<unknown>;
}

type Deps = Pick<Core, 'queue' | 'retryUntilClosed' | 'standing' | 'limitedLog'>;

interface Waiter {
  /** It is being tried: a message that comes now may be too late for it. */
  isBusy: boolean;
  isReplaced: boolean;
  readonly letGo: () => void;
}

/** Settles when the message may be acknowledged; rejects when the session was over before. */
export type DoUnanswered = (asked: Unanswered) => Promise<void>;

export function createUnanswered({ queue, retryUntilClosed, standing, limitedLog }: Deps): DoUnanswered {
  const newest = new Map<string, Waiter>();
  const waitsLong = new Set<Waiter>();

  const replace = (waiter: Waiter): void => {
    waiter.isReplaced = true;
    waiter.letGo();
  };

  return ({ queueKey, meaning, message, what, work }) =>
    new Promise((resolve, reject) => {
      const key = `${queueKey}\n${meaning}`;
      const settled = (): void => {
        clearTimeout(timer);
        waitsLong.delete(waiter);
      };
      const waiter: Waiter = {
        isBusy: false,
        isReplaced: false,
        letGo: () => {
          settled();
          message.acknowledge?.();
          resolve();
        },
      };
      const timer = setTimeout(() => {
        message.stepAside?.();
        if (waitsLong.size < MAX_UNACKNOWLEDGED) {
          waitsLong.add(waiter);
          return;
        }
        limitedLog.warn(
          { what, queue: queueKey },
          'too much waits to be stored: acknowledged, and kept by this process alone',
        );
        waiter.letGo();
      }, LONG_MS);

      const isNewest = (): boolean => newest.get(key) === waiter;
      const before = newest.get(key);
      newest.set(key, waiter);
      if (before && !before.isBusy) replace(before);

      const asLeader = whileLeading(standing, work);
      const attempt = async (): Promise<void> => {
        if (waiter.isReplaced) return;
        waiter.isBusy = true;
        try {
          await asLeader();
        } catch (error) {
          if (isNewest()) throw error;
          replace(waiter);
        } finally {
          waiter.isBusy = false;
        }
      };
      queue
        .run(queueKey, () => retryUntilClosed(what, attempt))
        .finally(() => {
          settled();
          if (isNewest()) newest.delete(key);
        })
        .then(resolve, reject);
    });
}
