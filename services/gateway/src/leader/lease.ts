/**
 * The lease: one gateway at a time may speak with EVerest. Held in Redis for at most two seconds, renewed four times in
 * that time; whoever cannot renew it stops speaking before it runs out, by its own monotonic clock. A lease that ran out
 * because Redis does not answer is not lost yet: nobody else has been seen to have it. Its last holder may still refuse.
 */
import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Redis } from 'ioredis';

export const LEASE_MS = 2000;
const RENEW_MS = 500;
/** We stop this long before Redis would give the lease to another. */
const MARGIN_MS = 300;
/** After Redis was out its last holder gets this long to come back: it knows what it told meanwhile. */
const COME_BACK_MS = 1500;

/**
 * 1: ours, renewed, or taken where `take` says so. 0: another's; one that lives longer than it may (a clock jumped) is
 * cut short. -1: free.
 */
const ACQUIRE = `
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] or (holder == false and ARGV[3] == 'take') then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1
end
if holder == false then return -1 end
local left = redis.call('PTTL', KEYS[1])
if left < 0 or left > tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0`;
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`;

/** What is for the leader alone is not done now. */
export const notLeading = (): CodedError => new CodedError('NOT_LEADING', 'the lease has run out');

export interface Lease {
  readonly holder: string;
  /** By our own monotonic clock: Redis has promised us that much. */
  readonly isHeld: () => boolean;
  /** We had it last, as far as we know: nobody else was seen to have it since. True while it is held. */
  readonly isOurs: () => boolean;
  /** Go on renewing until the signal fires; calls back when it becomes ours and when it is lost. Never rejects. */
  run(signal: AbortSignal, onChange: (ours: boolean) => void): Promise<void>;
  /** Give it back, so that another can start at once. */
  release(): Promise<void>;
}

export function createLease(redis: Redis, key: string, log: Logger): Lease {
  const holder = randomUUID();
  let heldUntil = 0;
  let ours = false;
  let failedAt = Number.NEGATIVE_INFINITY;
  const isHeld = (): boolean => performance.now() < heldUntil;

  const ask = async (how: 'look' | 'take'): Promise<unknown> => {
    const asked = performance.now();
    const got = await redis.eval(ACQUIRE, 1, key, holder, String(LEASE_MS), how);
    if (got === -1) return got;
    ours = got === 1;
    heldUntil = ours ? asked + LEASE_MS - MARGIN_MS : 0;
    return got;
  };

  /**
   * Who did not have it looks before he takes: what is on its way when Redis freezes is done when it thaws, and must not
   * take the lease from who had it.
   */
  const attempt = async (): Promise<void> => {
    try {
      if (ours) await ask('take');
      else if ((await ask('look')) === -1 && performance.now() - failedAt > COME_BACK_MS) await ask('take');
    } catch (error) {
      failedAt = performance.now();
      // Not known: what was promised before still counts until it runs out.
      log.debug({ reason: describeError(error) }, 'could not renew the lease');
    }
  };

  return {
    holder,
    isHeld,
    isOurs: () => ours,
    async run(signal, onChange) {
      let reported = false;
      const report = (): void => {
        if (ours === reported) return;
        reported = ours;
        onChange(reported);
      };
      while (!signal.aborted) {
        await attempt();
        report();
        const wait = isHeld() ? Math.min(RENEW_MS, heldUntil - performance.now()) : RENEW_MS / 2;
        await pause(Math.max(20, wait), undefined, { signal }).catch(() => undefined);
      }
      heldUntil = 0;
      ours = false;
      report();
    },
    async release() {
      heldUntil = 0;
      ours = false;
      await redis.eval(RELEASE, 1, key, holder);
    },
  };
}
