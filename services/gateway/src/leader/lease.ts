/**
 * The lease: one gateway at a time may speak with EVerest. Held in Redis for at most two seconds, renewed four times in
 * that time; whoever cannot renew it stops speaking before it runs out, by its own monotonic clock.
 */
import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Redis } from 'ioredis';

export const LEASE_MS = 2000;
const RENEW_MS = 500;
/** We stop this long before Redis would give the lease to another. */
const MARGIN_MS = 300;

/** Take it, renew it if it is ours, or answer 0. A lease that lives longer than it may (a clock jumped) is cut short. */
const ACQUIRE = `
local holder = redis.call('GET', KEYS[1])
if holder == false or holder == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return 1
end
local left = redis.call('PTTL', KEYS[1])
if left < 0 or left > tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0`;
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0`;

export interface Lease {
  readonly holder: string;
  /** By our own monotonic clock: Redis has promised us that much. */
  readonly isHeld: () => boolean;
  /** Go on renewing until the signal fires; calls back on every change. Never rejects. */
  run(signal: AbortSignal, onChange: (held: boolean) => void): Promise<void>;
  /** Give it back, so that another can start at once. */
  release(): Promise<void>;
}

export function createLease(redis: Redis, key: string, log: Logger): Lease {
  const holder = randomUUID();
  let heldUntil = 0;
  const isHeld = (): boolean => performance.now() < heldUntil;

  const attempt = async (): Promise<void> => {
    const asked = performance.now();
    try {
      const got = await redis.eval(ACQUIRE, 1, key, holder, String(LEASE_MS));
      heldUntil = got === 1 ? asked + LEASE_MS - MARGIN_MS : 0;
    } catch (error) {
      // Not known: what was promised before still counts until it runs out.
      log.debug({ reason: describeError(error) }, 'could not renew the lease');
    }
  };

  return {
    holder,
    isHeld,
    async run(signal, onChange) {
      let reported = false;
      const report = (): void => {
        if (isHeld() === reported) return;
        reported = !reported;
        onChange(reported);
      };
      while (!signal.aborted) {
        await attempt();
        report();
        const wait = isHeld() ? Math.min(RENEW_MS, heldUntil - performance.now()) : RENEW_MS / 2;
        await pause(Math.max(20, wait), undefined, { signal }).catch(() => undefined);
        report();
      }
      heldUntil = 0;
      report();
    },
    async release() {
      heldUntil = 0;
      await redis.eval(RELEASE, 1, key, holder);
    },
  };
}
