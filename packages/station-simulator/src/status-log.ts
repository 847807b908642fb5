/** What a station received, in order, and a way to wait for what is still to come. */
import { EventEmitter, once } from 'node:events';
import type { M2eChannelName } from '@khumbu/shared/contract/channels';
import type { FirmwareUpdateMetadata } from '@khumbu/shared/contract/schemas';
import { CodedError } from '@khumbu/shared/runtime/errors';

export interface ReceivedStatus {
  /** The channel, where it has no shorter name here. */
  readonly kind: 'firmware' | 'log' | 'network' | M2eChannelName;
  readonly status: string;
  readonly requestId: number;
  readonly metadata?: FirmwareUpdateMetadata;
  readonly interfaceAddress?: string;
  /** Counts from 1 over the whole life of the simulated station. */
  readonly seq: number;
  /** The boot it was received in, from 1. */
  readonly boot: number;
  /** Unix time in milliseconds with fractions; never steps back within a process. */
  readonly atMs: number;
}

/** Unix time in milliseconds that follows the monotonic clock. */
export const nowMs = (): number => performance.timeOrigin + performance.now();

/** Longest memory of each list; a station that runs for ever must not grow. */
const KEPT_ENTRIES = 10_000;

export function keep<T>(list: T[], entry: T): void {
  list.push(entry);
  if (list.length > KEPT_ENTRIES) list.shift();
}

/** Fires when anything changed; every wait looks again. */
export function createChangeBell() {
  const bell = new EventEmitter().setMaxListeners(0);
  return {
    ring: (): void => void bell.emit('change'),
    /**
     * The first defined value of `look`, which is asked now and after every change. Rejects with `DEADLINE_PASSED`
     * after `deadlineMs`, with `what` in the message.
     */
    async waitFor<T>(look: () => T | undefined, deadlineMs: number, what: () => string): Promise<T> {
      const deadline = new AbortController();
      const timer = setTimeout(() => deadline.abort(), deadlineMs);
      try {
        for (;;) {
          const value = look();
          if (value !== undefined) return value;
          await once(bell, 'change', { signal: deadline.signal });
        }
      } catch (error) {
        if (!deadline.signal.aborted) throw error;
        throw new CodedError('DEADLINE_PASSED', `after ${deadlineMs} ms still waiting: ${what()}`);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
