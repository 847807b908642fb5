/** What a service reports of its transfers over the WAN: bytes are counted, and held back where there is a rate limit. */
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { createFetchBytes, type FetchRun } from './fetch-bytes.js';
import { createLinkSchedule, type LinkSchedule, type LinkScheduleDeps } from './link-schedule.js';
import type { WanRules } from './settings.js';
import type { WanStore } from './wan-store.js';

/** Counted in Redis so often, or after so many bytes: what a killed process has not counted. */
const COUNT_MS = 1000;
const COUNT_BYTES = 1024 * 1024;
/** Each count is a synced write of Redis: a fast transfer would have one for each MiB, beside its own on the same disk. */
const LEAST_MS = 100;

/**
 * One transfer. `take` is called with the bytes of each piece, as it came or before it goes; while its promise is open, no
 * further piece is read or sent. No promise: go on. Rejects with the reason of the signal.
 */
export interface Pace {
  /** Longest piece that keeps the rate even; absent: any. */
  readonly pieceBytes?: number;
  take(bytes: number, signal: AbortSignal): Promise<void> | undefined;
}

export type WanMeter = ReturnType<typeof createWanMeter>;
type Counts = Pick<WanStore, 'count' | 'broughtBy' | 'forgetBrought'>;

/** The meter of a service. It is stopped with it. */
export function openWanMeter(
  link: LinkScheduleDeps,
  store: Counts,
  { rateBytesPerS }: Pick<WanRules, 'rateBytesPerS'>,
  log: Pick<Logger, 'debug'>,
): WanMeter {
  return createWanMeter(store, rateBytesPerS === undefined ? undefined : createLinkSchedule(link, rateBytesPerS), log);
}

/** `schedule`: absent: no limit. */
export function createWanMeter(store: Counts, schedule: LinkSchedule | undefined, log: Pick<Logger, 'debug'>) {
  const uncounted = { down: 0, up: 0 };
  const fetches = createFetchBytes();
  let counting: Promise<void> | undefined;
  let countedAt = Number.NEGATIVE_INFINITY;

  const count = async (): Promise<void> => {
    const { down, up } = uncounted;
    if (down + up === 0) return;
    const { brought, giveBack } = fetches.take();
    uncounted.down -= down;
    uncounted.up -= up;
    countedAt = performance.now();
    try {
      await store.count(down, up, brought);
    } catch (error) {
      uncounted.down += down;
      uncounted.up += up;
      giveBack();
      log.debug({ reason: describeError(error) }, 'bytes over the WAN are counted later');
    }
  };
  /** One at a time: those that come meanwhile are counted by the next. */
  const countSoon = (): Promise<void> => {
    counting ??= count().finally(() => {
      counting = undefined;
    });
    return counting;
  };
  /** All that has come so far. */
  const countAll = async (): Promise<void> => {
    await counting;
    await countSoon();
  };
  const timer = setInterval(() => void countSoon(), COUNT_MS).unref();

  const add = (direction: 'down' | 'up', bytes: number): void => {
    uncounted[direction] += bytes;
    if (uncounted.down + uncounted.up < COUNT_BYTES || performance.now() - countedAt < LEAST_MS) return;
    void countSoon();
  };

  return {
    isLimited: schedule !== undefined,
    ...(schedule === undefined ? {} : { pieceBytes: schedule.sliceBytes }),
    /** Bytes that came or went; `fetchId`: of a fetch that was begun. */
    count(direction: 'down' | 'up', bytes: number, fetchId?: string): void {
      fetches.add(fetchId, bytes);
      add(direction, bytes);
    },
    /** From now on the bytes of this fetch are told by `receivedOf`, until what this returns is called. */
    begin: (run: FetchRun): (() => void) => fetches.begin(run),
    receivedOf: (fetchId: string): number => fetches.receivedOf(fetchId),
    /** What earlier runs have counted, here and elsewhere; to be asked before a byte comes. Rejects where Redis does. */
    async broughtBefore(run: FetchRun): Promise<number> {
      await countAll();
      return store.broughtBy(run);
    },
    /** The end of the fetch is stored, with its bytes. Safe to repeat. Rejects where Redis does. */
    async forgetBrought(run: FetchRun): Promise<void> {
      while (counting) await counting;
      fetches.forget(run);
      await store.forgetBrought(run);
    },
    /** Resolves with how many bytes may be read now; without a limit at once, without end. */
    slice: async (signal: AbortSignal): Promise<number> =>
      schedule === undefined ? Number.POSITIVE_INFINITY : schedule.slice(signal),
    /** The pace of one transfer in this thread. */
    pace(direction: 'down' | 'up'): Pace {
      let allowed = 0;
      let waiting: Promise<void> | undefined;
      const wait = async (link: LinkSchedule, signal: AbortSignal): Promise<void> => {
        while (allowed < 0) allowed += await link.slice(signal);
      };
      return {
        ...(schedule === undefined ? {} : { pieceBytes: schedule.sliceBytes }),
        take(bytes, signal) {
          add(direction, bytes);
          if (schedule === undefined) return undefined;
          allowed -= bytes;
          if (allowed >= 0) return undefined;
          waiting ??= wait(schedule, signal).finally(() => {
            waiting = undefined;
          });
          return waiting;
        },
      };
    },
    /** Counts what is left. */
    async stop(): Promise<void> {
      clearInterval(timer);
      await countAll();
    },
  };
}
