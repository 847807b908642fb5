/**
 * The rate limit of the link, shared by all processes: one number in Redis says when the link is free again, on the depot's
 * monotonic clock. A transfer books a slice and may use it from the moment at which its turn comes. All slices are
 * equal and are booked one after the other, so transfers that want more than they get share alike, whatever process they
 * are in. (A virtual schedule, as GCRA has it: ITU-T I.371, A.1.)
 */
import { resolveWithin, sleep } from '@khumbu/shared/runtime/abort';
import type { Redis } from 'ioredis';
import type { Now } from '../clock/depot-clock.js';
import type { Keys } from '../records/keys.js';

/** So many slices a second are booked, by all transfers together. */
const SLICES_PER_S = 10;
const LEAST_SLICE_BYTES = 1024;
/** What was late catches up by this much: a slice that is booked when the one before is used up, and a late timer. */
const CATCH_UP_MS = 300;
/** A Redis that takes longer is not there, and is not asked again for a while. */
const PATIENCE_MS = 1000;
const RETRY_MS = 2000;
/** The share of this process is what it got in this time. */
const SHARE_MS = 10_000;
/** Of the limit, for a process that had none: nothing would go on, or find out that Redis is back. */
const LEAST_SHARE = 0.02;

/** KEYS[1]: when the link is free. ARGV: now, duration of the slice, how far it may be behind; milliseconds. */
const BOOK = `
local now = tonumber(ARGV[1])
local begin = math.max(tonumber(redis.call('GET', KEYS[1])) or 0, now - ARGV[3])
local free = begin + ARGV[2]
redis.call('SET', KEYS[1], string.format('%.3f', free), 'PX', math.ceil(math.max(0, free - now)) + 60000)
return string.format('%.3f', begin - now)`;

/** Bytes of one slice. Pure. */
export const sliceBytes = (bytesPerS: number): number =>
  Math.max(LEAST_SLICE_BYTES, Math.round(bytesPerS / SLICES_PER_S));

export interface LinkScheduleDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly now: Now;
  /** Milliseconds of this process that only go forward, and a wait on them; for tests. */
  readonly clock?: { readonly now: () => number; readonly sleep: (ms: number, signal: AbortSignal) => Promise<void> };
}

export type LinkSchedule = ReturnType<typeof createLinkSchedule>;

export function createLinkSchedule(
  { redis, keys, now, clock = { now: () => performance.now(), sleep } }: LinkScheduleDeps,
  bytesPerS: number,
) {
  const bytes = sliceBytes(bytesPerS);
  const costMs = (bytes / bytesPerS) * 1000;
  /** When slices were booked lately. */
  let booked: number[] = [];
  /** Of this process, while Redis is away. */
  let own = { free: 0, perMs: (bytesPerS * LEAST_SHARE) / 1000 };
  let askAgainAt = Number.NEGATIVE_INFINITY;

  const remember = (): void => {
    const at = clock.now();
    booked = [...booked.filter((then) => at - then < SHARE_MS), at];
    own = { free: at, perMs: Math.max((bytesPerS * LEAST_SHARE) / 1000, (booked.length * bytes) / SHARE_MS) };
  };

  /** Milliseconds until the turn of the slice; `undefined`: Redis did not say. */
  const book = async (): Promise<number | undefined> => {
    if (redis.status !== 'ready' || clock.now() < askAgainAt) return undefined;
    const args = [now().monotonic, costMs, Math.max(CATCH_UP_MS, costMs)];
    const asked = (redis.eval(BOOK, 1, keys.wanSchedule, ...args) as Promise<string>).catch(() => undefined);
    const told = await resolveWithin(asked, PATIENCE_MS, undefined);
    if (told === undefined) {
      askAgainAt = clock.now() + RETRY_MS;
      return undefined;
    }
    remember();
    return Number(told);
  };

  /** By the rate that this process had: all processes together do not exceed the limit. */
  const bookAlone = (): number => {
    const at = clock.now();
    const begin = Math.max(own.free, at);
    own = { ...own, free: begin + bytes / own.perMs };
    return own.free - at;
  };

  return {
    sliceBytes: bytes,
    /** Resolves with the bytes of a slice when its turn has come; rejects with the reason of the signal. */
    async slice(signal: AbortSignal): Promise<number> {
      signal.throwIfAborted();
      const waitMs = (await book()) ?? bookAlone();
      if (waitMs > 0) await clock.sleep(waitMs, signal);
      signal.throwIfAborted();
      return bytes;
    },
  };
}
