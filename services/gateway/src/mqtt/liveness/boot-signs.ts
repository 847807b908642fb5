/**
 * Questions that wait for a sign whether EVerest has started anew: its next heartbeat, or the beacon its modules
 * publish when they are ready. They wait outside of all turns, so that nothing else of any station waits for them, and
 * mostly unacknowledged: the next leader is given them again.
 */
import type { BootSign } from '@khumbu/intake/decide-boot-reason';
import type { Incoming } from '../session/incoming.js';

/** EVerest asks one after the other; no start asks more than this. */
export const MAX_WAITING_OF_ONE = 16;
/** An eighth of what the broker sends before it waits for acknowledgements. */
const MAX_UNACKNOWLEDGED = 64;

type Message = Pick<Incoming, 'acknowledge' | 'stepAside' | 'releasePlace'>;

interface Waiter {
  readonly resolve: (sign: BootSign) => void;
  readonly reject: (reason: unknown) => void;
}

export type BootSigns = ReturnType<typeof createBootSigns>;

/** `over`: the session has ended; what waits is given to the next one. */
export function createBootSigns(over: AbortSignal) {
  const waiting = new Map<string, Set<Waiter>>();
  let unacknowledged = 0;
  over.addEventListener(
    'abort',
    () => {
      for (const waiters of waiting.values()) for (const { reject } of waiters) reject(over.reason);
    },
    { once: true },
  );

  const waitFor = async (station: string, waitMs: number): Promise<BootSign> => {
    over.throwIfAborted();
    const waiters = waiting.get(station) ?? new Set();
    waiting.set(station, waiters);
    let timer: NodeJS.Timeout | undefined;
    let waiter: Waiter | undefined;
    try {
      return await new Promise<BootSign>((resolve, reject) => {
        waiter = { resolve, reject };
        waiters.add(waiter);
        timer = setTimeout(() => resolve('silence'), waitMs);
      });
    } finally {
      clearTimeout(timer);
      if (waiter) waiters.delete(waiter);
      if (waiters.size === 0) waiting.delete(station);
    }
  };

  return {
    /** A sign of this station has come. */
    came(station: string, sign: BootSign): void {
      for (const { resolve } of waiting.get(station) ?? []) resolve(sign);
    },

    /**
     * The next sign, or `silence` when none has come for so long. `undefined`: too many wait already. Rejects when the
     * session is over.
     */
    async next(station: string, waitMs: number, message: Message): Promise<BootSign | undefined> {
      if ((waiting.get(station)?.size ?? 0) >= MAX_WAITING_OF_ONE) return undefined;
      message.stepAside?.();
      message.releasePlace?.();
      if (unacknowledged >= MAX_UNACKNOWLEDGED) {
        message.acknowledge?.();
        return waitFor(station, waitMs);
      }
      unacknowledged += 1;
      try {
        return await waitFor(station, waitMs);
      } finally {
        unacknowledged -= 1;
      }
    },
  };
}
