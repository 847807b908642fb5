/** What Redis keeps of the link to the world: pauses, bytes by month, claims to them, and what servers have asked for. */
import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Now } from '../clock/depot-clock.js';
import type { Keys } from '../records/keys.js';
import { repliesOf } from '../records/replies.js';
import { monthAt, windowAt } from './download-window.js';
import { addBrought, type Brought, createBrought } from './fetch-bytes.js';
import type { DepotFacts, MonthUse, StartFacts } from './gate.js';
import type { WanRules } from './settings.js';

/** Months that can be looked at later. */
const MONTHS_KEPT_S = 400 * 86_400;
/** A claim is renewed every second; that of a killed worker ends. */
const CLAIM_LIVES_MS = 15_000;
/** How long the random start of a fetch is remembered beyond it: all updates that wait for it begin then. */
const START_KEPT_MS = 600_000;
const UNLIMITED = 'none';

export interface PausedBy {
  /** Milliseconds since 1970. */
  readonly since: number;
  readonly by?: string;
}

export interface WanView extends DepotFacts {
  readonly pausedBy?: PausedBy;
}

/** Fields: see `readMonth`. Claims: bytes, and when they were claimed (monotonic). */
const CLAIM = `
local budget = redis.call('HGET', KEYS[1], 'budget') or ARGV[3]
local taken = (tonumber(redis.call('HGET', KEYS[1], 'down')) or 0) + (tonumber(redis.call('HGET', KEYS[1], 'up')) or 0)
local claims = redis.call('HGETALL', KEYS[2])
for at = 1, #claims, 2 do
  local bytes, since = claims[at + 1]:match('^(%d+) (%d+)$')
  if not since or ARGV[4] - since > tonumber(ARGV[5]) then redis.call('HDEL', KEYS[2], claims[at])
  elseif claims[at] ~= ARGV[1] then taken = taken + bytes end
end
if budget ~= '${UNLIMITED}' and taken + ARGV[2] > tonumber(budget) then
  redis.call('HDEL', KEYS[2], ARGV[1])
  return 0
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2] .. ' ' .. ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return 1`;

/** A server that has asked for longer is left in peace for longer. ARGV: until when (monotonic), for how many milliseconds. */
const BE_QUIET = `
if (tonumber(redis.call('GET', KEYS[1])) or 0) >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`;

type Fields = Readonly<Record<string, string>>;

const budgetText = (bytes: number | undefined): string => (bytes === undefined ? UNLIMITED : String(bytes));

function readMonth(fields: Fields, claims: Fields, { monthBudgetBytes }: WanRules, nowMonotonic: number) {
  const { budget = budgetText(monthBudgetBytes), budgetBy } = fields;
  const live = Object.entries(claims).flatMap(([id, text]): [string, number][] => {
    const [bytes = 0, since = 0] = text.split(' ').map(Number);
    return nowMonotonic - since > CLAIM_LIVES_MS ? [] : [[id, bytes]];
  });
  return {
    down: Number(fields.down ?? 0),
    up: Number(fields.up ?? 0),
    reserved: new Map(live),
    ...(budget === UNLIMITED ? {} : { budget: Number(budget) }),
    ...(budgetBy === undefined ? {} : { budgetBy }),
  } satisfies Partial<MonthUse>;
}

/** Servers are told apart by scheme, host and port; the name goes into a key as a hash, as it came from outside. */
const hashOf = (origin: string): string => createHash('sha256').update(origin).digest('hex').slice(0, 32);

/** Computed again when what was found may have changed, or the date was set back: time zones are slow to ask. */
function whileIt<T>(find: (at: number) => T, lasts: (found: T) => number | undefined): (at: number) => T {
  let last: { readonly from: number; readonly until: number; readonly found: T } | undefined;
  return (at) => {
    if (last && at >= last.from && at < last.until) return last.found;
    const found = find(at);
    last = { from: at, until: lasts(found) ?? Number.POSITIVE_INFINITY, found };
    return found;
  };
}

export type WanStore = ReturnType<typeof createWanStore>;

/** Rejects where Redis does not answer, as the connection does. */
export function createWanStore(redis: Redis, keys: Keys, rules: WanRules, now: Now) {
  const { timeZone, windows } = rules;
  const windowNow = whileIt(
    (at) => windowAt(windows, timeZone, at),
    ({ until }) => until,
  );
  const monthNow = whileIt(
    (at) => monthAt(timeZone, at),
    ({ endsAt }) => endsAt,
  );
  const changed = 'wan ';

  return {
    /** The depot as it is now. */
    async look(): Promise<WanView> {
      const at = now();
      const month = monthNow(at.wall);
      const [wan, used, claims] = await repliesOf<Fields[]>(
        redis.pipeline().hgetall(keys.wan).hgetall(keys.wanMonth(month.name)).hgetall(keys.wanReserved),
      );
      const { since, by } = wan ?? {};
      return {
        now: at,
        paused: since !== undefined,
        window: windowNow(at.wall),
        month: { ...month, ...readMonth(used ?? {}, claims ?? {}, rules, at.monotonic) },
        ...(since === undefined ? {} : { pausedBy: { since: Number(since), ...(by === undefined ? {} : { by }) } }),
      };
    },

    /** All downloads stop. Safe to repeat: the first one counts. */
    async pause(by: string | undefined): Promise<void> {
      const fields = by === undefined ? [] : ['by', by];
      const isNew = await redis.hsetnx(keys.wan, 'since', String(now().wall));
      if (isNew === 1 && fields.length > 0) await redis.hset(keys.wan, ...fields);
      await redis.publish(keys.notifications, changed);
    },

    /** They go on. Safe to repeat. */
    async resume(): Promise<void> {
      await repliesOf(redis.multi().del(keys.wan).publish(keys.notifications, changed));
    },

    /** The budget of the month that is now, in place of that of the settings; `undefined`: none. Safe to repeat. */
    async setBudget(bytes: number | undefined, by: string | undefined): Promise<void> {
      const key = keys.wanMonth(monthNow(now().wall).name);
      const set = redis.multi().hset(key, 'budget', budgetText(bytes), 'budgetBy', by ?? '');
      await repliesOf(set.expire(key, MONTHS_KEPT_S).publish(keys.notifications, changed));
    },

    /** The fetch has so many bytes still to come. `false`: the month does not have them; it has no claim any more. */
    async claim(fetchId: string, bytes: number): Promise<boolean> {
      const { wall, monotonic } = now();
      const month = keys.wanMonth(monthNow(wall).name);
      const args = [fetchId, bytes, budgetText(rules.monthBudgetBytes), monotonic, CLAIM_LIVES_MS];
      return (await redis.eval(CLAIM, 2, month, keys.wanReserved, ...args)) === 1;
    },

    /** It has ended. */
    async disclaim(fetchId: string): Promise<void> {
      await redis.hdel(keys.wanReserved, fetchId);
    },

    /** Bytes that came and went since the last time, of the month that is now; `brought`: those of fetches among them. */
    async count(down: number, up: number, brought: readonly Brought[] = []): Promise<void> {
      const key = keys.wanMonth(monthNow(now().wall).name);
      const adding = redis.multi().hincrby(key, 'down', down).hincrby(key, 'up', up).expire(key, MONTHS_KEPT_S);
      addBrought(adding, keys, brought);
      await repliesOf(adding);
    },

    ...createBrought(redis, keys),

    /** A server has answered that it wants peace for so long. */
    async beQuiet(origin: string, ms: number): Promise<void> {
      if (ms <= 0) return;
      await redis.eval(BE_QUIET, 1, keys.wanQuiet(hashOf(origin)), String(now().monotonic + ms), Math.ceil(ms));
    },

    /**
     * When a fetch may begin. Its random start, if there is to be one, is the same for all who ask within minutes of it, and
     * comes after the peace that its server has asked for.
     */
    async startOf(fetchId: string, origin: string): Promise<StartFacts> {
      const spreadMs = rules.startSpreadS * 1000;
      const quiet = await redis.get(keys.wanQuiet(hashOf(origin)));
      const quietUntil = quiet === null ? {} : { quietUntil: Number(quiet) };
      if (spreadMs === 0) return quietUntil;
      const { monotonic } = now();
      const from = Math.max(monotonic, Number(quiet ?? 0));
      const random = String(Math.round(from + Math.random() * spreadMs));
      const kept = Math.ceil(from - monotonic + spreadMs + START_KEPT_MS);
      const key = keys.wanStart(fetchId);
      const [, start] = await repliesOf<[unknown, string]>(redis.multi().set(key, random, 'PX', kept, 'NX').get(key));
      return { ...quietUntil, startsAt: Number(start) };
    },
  };
}
