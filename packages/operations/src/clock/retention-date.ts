/**
 * The date by which days of retention are counted. Where the date runs ahead of the clock that nobody sets, a clock was set, or the
 * depot was off: it is believed after a day in which the depot ran. What a clock that was wrong for an hour has removed does not come
 * back; what is kept for a day more does no harm.
 */
import type { Redis } from 'ioredis';
import type { Moment, Now } from './depot-clock.js';

/** In milliseconds: how far the date is ahead of the monotonic reading. */
export interface Belief {
  readonly ahead: number;
  /** It was seen at least so much further ahead, at each look since this monotonic reading. */
  readonly doubted?: { readonly ahead: number; readonly since: number };
}

const DAY_MS = 24 * 3600_000;
/** What corrections of a clock in use come to. */
const USUAL_MS = 3600_000;

/** Both readings are the same when a depot begins. Pure. */
export function believe(before: Belief = { ahead: 0 }, { wall, monotonic }: Moment): Belief {
  const ahead = wall - monotonic;
  // A date that goes back removes nothing.
  if (ahead <= before.ahead + USUAL_MS) return { ahead };
  const { doubted } = before;
  const anew = { ahead, since: monotonic };
  if (!doubted || ahead < doubted.ahead - USUAL_MS) return { ahead: before.ahead, doubted: anew };
  // A depot that is off each night is further ahead each morning: as far as it was a day ago, it still is.
  const isFurther = ahead > doubted.ahead + USUAL_MS;
  const stood = isFurther ? doubted : { ahead, since: doubted.since };
  if (monotonic - stood.since < DAY_MS) return { ahead: before.ahead, doubted: stood };
  return { ahead: stood.ahead, ...(isFurther ? { doubted: anew } : {}) };
}

const read = ({ ahead, doubted, since }: Record<string, string>): Belief | undefined =>
  ahead === undefined
    ? undefined
    : {
        ahead: Number(ahead),
        ...(doubted === undefined || since === undefined
          ? {}
          : { doubted: { ahead: Number(doubted), since: Number(since) } }),
      };

/** Resolves with milliseconds since 1970. Safe to ask from several processes: they have the same clock. */
export function createRetentionDate(redis: Redis, key: string, now: Now): () => Promise<number> {
  return async () => {
    const moment = now();
    const { ahead, doubted } = believe(read(await redis.hgetall(key)), moment);
    const change = redis.multi().hset(key, { ahead });
    if (doubted) change.hset(key, { doubted: doubted.ahead, since: doubted.since });
    else change.hdel(key, 'doubted', 'since');
    await change.exec();
    return moment.monotonic + ahead;
  };
}
