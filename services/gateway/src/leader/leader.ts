/**
 * The one gateway that speaks with EVerest. While it holds the lease it keeps a bridge open and reconciles records with
 * jobs. A leader whose lease ran out because Redis does not answer keeps the bridge that it has, which then answers by
 * default and says nothing else, until Redis tells who leads; it never connects without the lease.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Reconciler } from '@khumbu/operations/reconciler/reconciler';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Redis } from 'ioredis';
import type { MqttService } from '../mqtt/mqtt-service.js';
import type { Lease } from './lease.js';

const TRIM_EVERY_MS = 60_000;
const RECONNECT_FIRST_MS = 50;
const RECONNECT_LONGEST_MS = 1000;
/** How often a leader that lost its connection looks whether it has its lease again. */
const LOOK_MS = 50;
/** How long the other gateways believe that the leader serves. */
const SERVING_MS = 3000;

export interface LeaderDeps {
  readonly lease: Lease;
  /** `backlogMs`: how old a message may be that the broker has kept. */
  readonly openMqttService: (backlogMs: number) => Promise<MqttService>;
  readonly reconciler: Reconciler;
  readonly reconcileEveryMs: number;
  /** Remove ended operations that are kept too long. */
  readonly trim: () => Promise<unknown>;
  /** For the mark that the depot is served. */
  readonly redis: Redis;
  readonly servingKey: string;
  /** For the memory of when it was served last. */
  readonly servedKey: string;
  /** How long the broker keeps messages while nobody serves. */
  readonly sessionExpiryMs: number;
  readonly log: Logger;
  readonly onLeader: (leads: boolean) => void;
}

export interface Leader {
  /** Ends when the signal fires, with the bridge closed and the lease given back. */
  readonly done: Promise<void>;
  /**
   * Resolves when what hurries is done: the first bridge is open, or could not be opened, or another gateway leads, or
   * nobody can tell.
   */
  readonly begun: Promise<void>;
}

const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  pause(ms, undefined, { signal }).catch(() => undefined);

const whenAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

export function runLeader(deps: LeaderDeps, signal: AbortSignal): Leader {
  const { lease, log } = deps;
  let term: AbortController | undefined;
  let terms: Promise<unknown>[] = [];
  let markBegun: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    markBegun = resolve;
  });

  /** Since somebody was through with the backlog and served; what the broker has kept cannot be older. */
  const sinceServed = async (): Promise<number> => {
    const left = await deps.redis.pttl(deps.servedKey);
    return left < 0 ? deps.sessionExpiryMs : Math.max(0, deps.sessionExpiryMs - left);
  };

  const keepBridge = async (over: AbortSignal): Promise<void> => {
    let wait = RECONNECT_FIRST_MS;
    while (!over.aborted) {
      if (lease.standing() !== 'leading') {
        await sleep(LOOK_MS, over);
        continue;
      }
      try {
        const bridge = await deps.openMqttService(await sinceServed());
        log.info('connected to the broker');
        markBegun();
        wait = RECONNECT_FIRST_MS;
        // The lease may have been lost while the bridge was being opened.
        const ends = whenAborted(over);
        const mark = setInterval(() => {
          if (!bridge.isServing()) return;
          deps.redis
            .pipeline()
            .set(deps.servingKey, lease.holder, 'PX', SERVING_MS)
            .set(deps.servedKey, lease.holder, 'PX', deps.sessionExpiryMs)
            .exec()
            .catch(() => undefined);
        }, 250);
        const why = await Promise.race([bridge.closed, ends]);
        clearInterval(mark);
        if (why !== undefined) log.warn({ reason: why }, 'connection to the broker lost');
        await bridge.end();
      } catch (error) {
        log.warn({ reason: describeError(error) }, 'no connection to the broker');
        markBegun();
      }
      if (over.aborted) return;
      await sleep(wait, over);
      wait = Math.min(wait * 2, RECONNECT_LONGEST_MS);
    }
  };

  const keepReconciled = async (over: AbortSignal): Promise<void> => {
    while (!over.aborted) {
      try {
        await deps.reconciler.round(over);
      } catch (error) {
        log.debug({ reason: describeError(error) }, 'not reconciled');
      }
      await sleep(deps.reconcileEveryMs, over);
    }
  };

  const keepTrimmed = async (over: AbortSignal): Promise<void> => {
    while (!over.aborted) {
      await sleep(TRIM_EVERY_MS, over);
      try {
        if (!over.aborted) await deps.trim();
      } catch (error) {
        log.debug({ reason: describeError(error) }, 'old operations not removed');
      }
    }
  };

  const begin = (): void => {
    log.info('this gateway is the leader now');
    deps.onLeader(true);
    term = new AbortController();
    const { signal: over } = term;
    // What an earlier term left open is closed first: both would share one session and one registry.
    const before = Promise.all(terms);
    terms = [before.then(() => keepBridge(over)), keepReconciled(over), keepTrimmed(over)];
  };
  const end = (): void => {
    // At a stop that is as it should be.
    log[signal.aborted ? 'info' : 'warn']('this gateway is not the leader any more');
    deps.onLeader(false);
    term?.abort();
    term = undefined;
  };

  const run = async (): Promise<void> => {
    const ended = new AbortController();
    const renewing = lease.run(
      ended.signal,
      (ours) => (ours ? begin() : end()),
      () => {
        if (!term) markBegun();
      },
    );
    await whenAborted(signal);
    markBegun();
    // The lease is kept until nothing is sent any more; then the next one need not wait for it to run out.
    term?.abort();
    await Promise.all(terms);
    ended.abort();
    await renewing;
    await lease.release().catch((error: unknown) => log.debug({ reason: describeError(error) }, 'lease not returned'));
  };
  return { done: run(), begun };
}
