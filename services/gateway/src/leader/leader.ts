/**
 * The one gateway that is connected to the broker. While it leads it keeps an MQTT service open and reconciles records with jobs.
 * While it refuses it keeps the service that it has, which then answers by default and publishes nothing else; it connects
 * only while it leads.
 */
import type { Reconciler } from '@khumbu/operations/reconciler/reconciler';
import { sleep, whenAborted } from '@khumbu/shared/runtime/abort';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { repeatUntil } from '@khumbu/shared/runtime/retry-until';
import type { Redis } from 'ioredis';
import type { MqttService } from '../mqtt/mqtt-service.js';
import type { Lease } from './lease.js';

const TRIM_EVERY_MS = 60_000;
const CHAIN_EVERY_MS = 1000;
const COLLECT_EVERY_MS = 2000;
const RECONNECT_FIRST_MS = 50;
const RECONNECT_LONGEST_MS = 1000;
/** How often a leader that lost its connection looks whether it has its lease again. */
const LOOK_MS = 50;
/** How long the other gateways believe that the leader serves. */
const SERVING_MS = 3000;
/** How often that is renewed. */
const MARK_MS = 250;

export interface LeaderDeps {
  readonly lease: Lease;
  /** `backlogMs`: how old a message may be that the broker has kept. */
  readonly openMqttService: (backlogMs: number) => Promise<MqttService>;
  readonly reconciler: Reconciler;
  readonly reconcileEveryMs: number;
  /** Chain what was told to the security log. */
  readonly chain: (signal: AbortSignal) => Promise<unknown>;
  /** Collect logs by the clock; absent: never. */
  readonly collect?: ((signal: AbortSignal) => Promise<unknown>) | undefined;
  /** Remove what is kept too long: ended operations, entries of the security log. */
  readonly trim: () => Promise<unknown>;
  /** For the mark that the depot is served. */
  readonly redis: Redis;
  readonly servingKey: string;
  /** For the memory of when it was served last. */
  readonly servedKey: string;
  /** How long the broker keeps messages while no gateway serves. */
  readonly sessionExpiryMs: number;
  readonly log: Logger;
  readonly onLeader: (leads: boolean) => void;
}

export type Leader = ReturnType<typeof runLeader>;

/** How old a message may be that the broker has kept: since a gateway was last through with the backlog, and served. */
async function backlogAge({ redis, servedKey, sessionExpiryMs }: LeaderDeps): Promise<number> {
  const left = await redis.pttl(servedKey);
  return left < 0 ? sessionExpiryMs : Math.max(0, sessionExpiryMs - left);
}

/** One service from its opening to its end. Rejects when it could not be opened. */
async function serveOnce(deps: LeaderDeps, over: AbortSignal, onOpen: () => void): Promise<void> {
  const { lease, redis, log } = deps;
  const service = await deps.openMqttService(await backlogAge(deps));
  log.info('connected to the broker');
  onOpen();
  // The lease may have been lost while the service was being opened.
  const ends = whenAborted(over);
  const mark = setInterval(() => {
    if (!service.isServing()) return;
    redis
      .pipeline()
      .set(deps.servingKey, lease.holder, 'PX', SERVING_MS)
      .set(deps.servedKey, lease.holder, 'PX', deps.sessionExpiryMs)
      .exec()
      .catch(() => undefined);
  }, MARK_MS);
  const why = await Promise.race([service.closed, ends]);
  clearInterval(mark);
  if (why !== undefined) log.warn({ reason: why }, 'connection to the broker lost');
  await service.end();
}

/** Whenever a service has ended another one is opened. `onTried`: the first is open, or could not be opened. */
async function keepServing(deps: LeaderDeps, over: AbortSignal, onTried: () => void): Promise<void> {
  let wait = RECONNECT_FIRST_MS;
  const onOpen = (): void => {
    onTried();
    wait = RECONNECT_FIRST_MS;
  };
  while (!over.aborted) {
    if (deps.lease.standing() !== 'leading') {
      await sleep(LOOK_MS, over);
      continue;
    }
    try {
      await serveOnce(deps, over, onOpen);
    } catch (error) {
      deps.log.warn({ reason: describeError(error) }, 'no connection to the broker');
      onTried();
    }
    if (over.aborted) return;
    await sleep(wait, over);
    wait = Math.min(wait * 2, RECONNECT_LONGEST_MS);
  }
}

export function runLeader(deps: LeaderDeps, signal: AbortSignal) {
  const { lease, log, collect } = deps;
  let term: AbortController | undefined;
  let terms: Promise<unknown>[] = [];
  let markBegun: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    markBegun = resolve;
  });
  const failed = (what: string) => (error: unknown) => log.debug({ reason: describeError(error) }, what);

  const keepTrimmed = async (over: AbortSignal): Promise<void> => {
    await sleep(TRIM_EVERY_MS, over);
    await repeatUntil(over, TRIM_EVERY_MS, deps.trim, failed('old operations not removed'));
  };

  const begin = (): void => {
    log.info('this gateway is the leader now');
    deps.onLeader(true);
    term = new AbortController();
    const { signal: over } = term;
    // What an earlier term left open is closed first: both would share one session and one registry.
    const before = Promise.all(terms);
    terms = [
      before.then(() => keepServing(deps, over, markBegun)),
      repeatUntil(over, deps.reconcileEveryMs, () => deps.reconciler.round(over), failed('not reconciled')),
      repeatUntil(over, CHAIN_EVERY_MS, () => deps.chain(over), failed('security log not chained')),
      keepTrimmed(over),
      ...(collect ? [repeatUntil(over, COLLECT_EVERY_MS, () => collect(over), failed('logs not collected'))] : []),
    ];
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
    // The lease is kept until nothing is published any more; then the next one need not wait for it to run out.
    term?.abort();
    await Promise.all(terms);
    ended.abort();
    await renewing;
    await lease.release().catch((error: unknown) => log.debug({ reason: describeError(error) }, 'lease not returned'));
  };
  return {
    /** Ends when the signal fires, with the service closed and the lease given back. */
    done: run(),
    /**
     * Resolves when what hurries is done: the first service is open, or could not be opened, or another gateway leads, or
     * Redis does not say.
     */
    begun,
  };
}
