/**
 * The lease: one gateway at a time leads. Held in Redis for at most two seconds, renewed four times in that time; a holder that
 * cannot renew it stops publishing before it runs out, by its own monotonic clock. One whose holder was a process of this very
 * host that has certainly ended is taken at once. A lease that ran out because Redis does not answer is not lost yet: no
 * other holder was seen, and its last holder may still refuse (`standing.ts`).
 */
import { randomUUID } from 'node:crypto';
import { sleep } from '@khumbu/shared/runtime/abort';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { hasEnded, identifySelf, type PlacedIdentity, parsePlaced } from '@khumbu/shared/runtime/process-identity';
import type { Redis } from 'ioredis';
import { type Standing, standingOf } from './standing.js';

export const LEASE_MS = 2000;
const RENEW_MS = 500;
/** We stop this long before Redis would give the lease to another. */
const MARGIN_MS = 300;
/** After Redis was out its last holder gets this long to come back: it remembers what it answered meanwhile. */
const COME_BACK_MS = 1500;

/**
 * 1: ours, renewed, or taken where `take` says so, or from the holder that is named. -1: free. Else the holder; one that
 * lives longer than it may (a clock jumped) is cut short. Every call writes first: a Redis that reads and takes no writes
 * (full, read-only, without its replicas, unable to save) fails a look, too, and so counts as out.
 */
const ACQUIRE = `
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] or (holder == false and ARGV[3] == 'take') or (holder and holder == ARGV[4]) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1
end
if holder == false then return -1 end
local left = redis.call('PTTL', KEYS[1])
if left < 0 or left > tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return holder`;
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`;

export type Lease = ReturnType<typeof createLease>;

/** Its own name, and where its end can be seen. */
const nameOf = (self: PlacedIdentity | undefined): string =>
  `${randomUUID()} ${self ? JSON.stringify(self) : ''}`.trim();

/** Pure but for the look at the process. Holders of earlier releases say nothing of where they are. */
function isDead(holder: string, self: PlacedIdentity | undefined): boolean {
  const identity = parsePlaced(holder.slice(holder.indexOf(' ') + 1));
  return identity !== undefined && hasEnded(identity, self);
}

export function createLease(redis: Redis, key: string, log: Logger) {
  const self = identifySelf();
  const holder = nameOf(self);
  let heldUntil = 0;
  let ours = false;
  let failedAt = Number.NEGATIVE_INFINITY;
  const standing = (): Standing => standingOf(ours, heldUntil - performance.now());

  const ask = async (how: 'look' | 'take', from = ''): Promise<unknown> => {
    const asked = performance.now();
    const got = await redis.eval(ACQUIRE, 2, key, `${key}:asked`, holder, String(LEASE_MS), how, from);
    if (got === -1) return got;
    ours = got === 1;
    heldUntil = ours ? asked + LEASE_MS - MARGIN_MS : 0;
    return got;
  };

  /**
   * A gateway without the lease looks before it takes it: a command that is on its way when Redis freezes is executed when it
   * thaws, and must not take the lease from its last holder.
   */
  const attempt = async (): Promise<void> => {
    try {
      if (ours) {
        await ask('take');
        return;
      }
      const seen = await ask('look');
      if (seen === -1 && performance.now() - failedAt > COME_BACK_MS) await ask('take');
      else if (typeof seen === 'string' && isDead(seen, self)) await ask('look', seen);
    } catch (error) {
      failedAt = performance.now();
      // Not known: what was promised before still counts until it runs out.
      log.debug({ reason: describeError(error) }, 'could not renew the lease');
    }
  };

  return {
    holder,
    standing,
    /**
     * Go on renewing until the signal fires; calls back when it becomes ours and when it is lost, and whenever Redis was
     * asked, in vain or not. Never rejects.
     */
    async run(signal: AbortSignal, onChange: (ours: boolean) => void, onAsked?: () => void): Promise<void> {
      let reported = false;
      const report = (): void => {
        if (ours === reported) return;
        reported = ours;
        onChange(reported);
      };
      while (!signal.aborted) {
        await attempt();
        report();
        onAsked?.();
        const wait = standing() === 'leading' ? Math.min(RENEW_MS, heldUntil - performance.now()) : RENEW_MS / 2;
        await sleep(Math.max(20, wait), signal);
      }
      heldUntil = 0;
      ours = false;
      report();
    },
    /** Give it back, so that another can start at once. */
    async release(): Promise<void> {
      heldUntil = 0;
      ours = false;
      await redis.eval(RELEASE, 1, key, holder);
    },
  };
}
