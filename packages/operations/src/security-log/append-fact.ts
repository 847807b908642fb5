/**
 * Facts on their way into the security log. They are put at the end of one list: in the very commit that they tell of, or by
 * themselves where there is none, as a login. One that has a `limit` is told a few times in a while, and counted from then on: a
 * station that flaps does not push out all the rest, and nothing is lost silently.
 */
import type { Redis, Result } from 'ioredis';
import type { Keys } from '../records/keys.js';
import type { SecurityFact } from './entry.js';

/** How long facts with the same limit are counted together, in milliseconds. */
export const COUNTED_MS = 600_000;
/** How many of them are told one by one in that time. */
export const TOLD_EACH = 20;

/** A fact, and what it is counted by; empty: it is never too many. */
export interface ToldFact {
  readonly fact: SecurityFact;
  readonly limit?: string;
}

/** What the script below keeps of facts that were too many. */
export interface CountedFacts {
  readonly count: number;
  /** The first of them. */
  readonly fact: string;
  /** When the newest one happened. */
  readonly last: string;
}

/** As arguments of the function below. */
export const factArguments = ({ fact, limit = '' }: ToldFact): [string, string, string] => [
  limit,
  JSON.stringify(fact),
  String(fact.at),
];

/** For scripts. `keys`: pending, counted, rate. */
export const APPEND_FUNCTION = `
local function append_fact(keys, limit, fact, at)
  if limit ~= '' then
    local rate = keys.rate .. limit
    local told = redis.call('INCR', rate)
    if told == 1 then redis.call('PEXPIRE', rate, ${COUNTED_MS}) end
    if told > ${TOLD_EACH} then
      local was = redis.call('HGET', keys.counted, limit)
      local counted = was and cjson.decode(was) or { count = 0, fact = fact }
      counted.count = counted.count + 1
      counted.last = at
      redis.call('HSET', keys.counted, limit, cjson.encode(counted))
      return
    end
  end
  redis.call('RPUSH', keys.pending, fact)
end`;

/** For the function above. */
export const factKeys = ({ securityPending, securityCounted, securityRate }: Keys) => ({
  pending: securityPending,
  counted: securityCounted,
  rate: securityRate,
});

const APPEND_SCRIPT = `${APPEND_FUNCTION}
append_fact({ pending = KEYS[1], counted = KEYS[2], rate = ARGV[1] }, ARGV[2], ARGV[3], ARGV[4])
return 1`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    khumbuAppendFact(
      pending: string,
      counted: string,
      rate: string,
      limit: string,
      fact: string,
      at: string,
    ): Result<number, Context>;
  }
}

export type AppendFact = (told: ToldFact) => Promise<void>;

/** For what has no commit. Rejects when it is not known whether the fact was taken; told again, it may be there twice. */
export function createAppendFact(redis: Redis, keys: Keys): AppendFact {
  redis.defineCommand('khumbuAppendFact', { lua: APPEND_SCRIPT, numberOfKeys: 2 });
  return async (told) => {
    const { pending, counted, rate } = factKeys(keys);
    await redis.khumbuAppendFact(pending, counted, rate, ...factArguments(told));
  };
}
