/**
 * The time of the depot, the same for every process and indifferent to the clock of its own host. Two readings: `wall`
 * is the date, from the clock of the Redis server; `monotonic` only ever goes forward, at the pace of the monotonic clocks
 * of the processes that run. Dates that were asked for are compared with `wall`; everything that lasts a while (deadlines,
 * pauses, reservations) is counted in `monotonic`, so that no jump of any clock makes it longer or shorter.
 *
 * The monotonic reading is a register in Redis that every process raises and none lowers. It stands still while the whole
 * depot is off, and begins as the date of the first start.
 */
import { JUMP_MS } from '@khumbu/shared/runtime/clock-watch';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Redis } from 'ioredis';

/** One moment. Both in milliseconds; they do not compare with each other. */
export interface Moment {
  /** Since 1970. */
  readonly wall: number;
  /** On the clock that is never set. */
  readonly monotonic: number;
}

export type Now = () => Moment;

export type DepotClock = Awaited<ReturnType<typeof openDepotClock>>;

/** What a process has found out about the depot's time, as differences to its own monotonic clock. */
export interface Bearings {
  readonly wall: number;
  readonly monotonic: number;
}

export interface Sighting {
  /** Monotonic time before the question and after the answer. */
  readonly askedAt: number;
  readonly heardAt: number;
  readonly told: Moment;
}

/**
 * Pure. The register was read at `heardAt` at the latest, so taking it for that moment never runs ahead of it, and the
 * readings of all processes do not drive each other. The date is moved only by what the way to Redis does not explain.
 */
export function takeBearings(before: Bearings | undefined, { askedAt, heardAt, told }: Sighting): Bearings {
  const monotonic = Math.max(told.monotonic - heardAt, before?.monotonic ?? Number.NEGATIVE_INFINITY);
  const wall = told.wall - (askedAt + heardAt) / 2;
  const explained = before !== undefined && Math.abs(wall - before.wall) <= (heardAt - askedAt) / 2 + 1;
  return { monotonic, wall: explained ? before.wall : wall };
}

/** ARGV[1]: what the asking process takes the monotonic reading for, or nothing at its start. */
const LOOK = `
local time = redis.call('TIME')
local wall = time[1] * 1000 + math.floor(time[2] / 1000)
local stored = tonumber(redis.call('GET', KEYS[1]))
local monotonic = math.max(stored or wall, tonumber(ARGV[1]) or 0)
if monotonic ~= stored then redis.call('SET', KEYS[1], string.format('%.0f', monotonic)) end
return { wall, monotonic }`;

const LOOK_EVERY_MS = 1000;

/** Resolves when the depot's time is known; looks again every second. Redis being away only makes it drift. */
export async function openDepotClock(redis: Redis, key: string, log: Logger) {
  let bearings: Bearings | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  const look = async (): Promise<Bearings> => {
    const askedAt = performance.now();
    const mine = bearings ? String(Math.floor(bearings.monotonic + askedAt)) : '';
    const [wall, monotonic] = (await redis.eval(LOOK, 1, key, mine)) as [number, number];
    const found = takeBearings(bearings, { askedAt, heardAt: performance.now(), told: { wall, monotonic } });
    const byMs = bearings ? Math.round(found.wall - bearings.wall) : 0;
    if (Math.abs(byMs) > JUMP_MS) log.warn({ byMs }, "the clock of Redis' host has jumped");
    bearings = found;
    return found;
  };
  const lookAgain = async (): Promise<void> => {
    try {
      await look();
    } catch (error) {
      log.debug({ reason: describeError(error) }, "the depot's time was not read");
    }
    if (!stopped) timer = setTimeout(() => void lookAgain(), LOOK_EVERY_MS).unref();
  };

  bearings = await look();
  const current = (): Bearings => bearings as Bearings;
  timer = setTimeout(() => void lookAgain(), LOOK_EVERY_MS).unref();
  const openedAt = Math.round(current().monotonic + performance.now());
  return {
    /** The monotonic reading when this process began to follow the clock; before it the depot may have been off. */
    openedAt,
    now: (): Moment => {
      const mono = performance.now();
      const { wall, monotonic } = current();
      return { wall: Math.round(wall + mono), monotonic: Math.round(monotonic + mono) };
    },
    stop(): void {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

/** Both readings the same: for tests, and for tools without a depot. */
export const momentOf = (ms: number): Moment => ({ wall: ms, monotonic: ms });
