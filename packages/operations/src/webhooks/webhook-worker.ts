/**
 * Deliveries as jobs: one for the first of each list. BullMQ knows when a try is due; which delivery that is, and when it is
 * over, says the list.
 */

import { mergeRuns } from '@khumbu/shared/runtime/merge-runs';
import { DelayedError, type Job, Queue, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';
import { backoffMs } from './backoff.js';
import { type Delivery, isStopped, type Webhook } from './webhook.js';
import type { WebhookStore } from './webhook-store.js';

const QUEUE = 'webhooks';
const SWEEP_MS = 10_000;
/** A webhook that has its share of places waits so long for one. */
const TURN_MS = 1000;

interface JobData {
  readonly webhook: string;
  readonly station: string;
  readonly delivery: string;
}

/** How a try failed. `retryAfterMs`: what the receiver asked for. `isGone`: it wants no more of anything. */
export interface Failure {
  readonly reason: string;
  readonly message: string;
  readonly retryAfterMs?: number;
  readonly isGone?: boolean;
}

/** Why BullMQ is to try again; holds no secrets. */
class TryAgain extends Error {
  constructor(
    message: string,
    readonly waitMs: number,
  ) {
    super(message);
  }
}

export interface WebhookWorkerOptions {
  readonly store: WebhookStore;
  readonly redis: Redis;
  readonly keys: Keys;
  /** Places of this process; one webhook has a quarter of them at most. */
  readonly concurrency: number;
  /** Tries of a delivery in all. */
  readonly tries: number;
  readonly firstWaitMs: number;
  /** A receiver that asks for a longer pause by its Retry-After gets this one. */
  readonly mostRetryAfterMs: number;
  /** So long after a worker was killed another one takes up what it had. */
  readonly lockMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** One try. `undefined`: it was taken. Rejects with the reason of the signal alone. */
  readonly send: (webhook: Webhook, delivery: Delivery, signal: AbortSignal) => Promise<Failure | undefined>;
  readonly onDead: (webhook: Webhook, delivery: Delivery, failure: Failure) => void;
  readonly onGone: (webhook: Webhook) => void;
  readonly onError: (error: unknown) => void;
}

type Jobs = ReturnType<typeof createJobs>;

/** The queue. */
function createJobs({ store, redis, keys, tries, onError }: WebhookWorkerOptions) {
  const queue = new Queue<JobData>(QUEUE, { connection: redis, prefix: keys.jobs });
  queue.on('error', onError);
  /** A job for a delivery that has one already stays as it is. */
  const add = async (webhook: string, { station, id: delivery }: Delivery): Promise<void> => {
    const data = { webhook, station, delivery };
    const attempts = { attempts: tries, backoff: { type: 'custom' } };
    await queue.add('deliver', data, { ...attempts, jobId: delivery, removeOnComplete: true, removeOnFail: true });
  };
  const addHeads = async (webhook: string, stations: readonly string[]): Promise<void> => {
    for (const station of stations) {
      const head = await store.head(webhook, station);
      if (head) await add(webhook, head);
    }
  };
  /**
   * What a kill has left without a job, what goes on after a pause, what is to be sent again. Never rejects. Each dead letter
   * that is sent again asks for it: hundreds would be under way at once, each over all that waits.
   */
  const sweep = mergeRuns(async (): Promise<void> => {
    try {
      const stopped = new Set((await store.list()).filter(isStopped).map(({ id }) => id));
      for (const { webhook, station } of await store.busy()) {
        if (!stopped.has(webhook)) await addHeads(webhook, [station]);
      }
    } catch (error) {
      onError(error);
    }
  });
  return { add, addHeads, sweep, close: () => queue.close() };
}

/** One try of the first delivery. Resolves with the next one, if this one is over. Throws `TryAgain`. */
function createAttempt(options: WebhookWorkerOptions, signal: AbortSignal) {
  const { store, tries, firstWaitMs, mostRetryAfterMs, now, send, onDead, onGone } = options;
  const giveUp = async (webhook: Webhook, delivery: Delivery, failure: Failure, made: number) => {
    const { reason, message } = failure;
    const { id, station, type, body } = delivery;
    const dead = { id, station, type, body, at: now(), reason, message, tries: made };
    const next = await store.settle(webhook.id, delivery, dead);
    onDead(webhook, delivery, failure);
    return next;
  };
  /** The receiver at this URL wants no more. A webhook that was given another URL meanwhile goes on there, at once. */
  const stop = async (asked: Webhook): Promise<undefined> => {
    const webhook = await store.change(asked.id, (one) => (one.url === asked.url ? { ...one, gone: true } : one));
    if (webhook && webhook.url !== asked.url) throw new TryAgain('it has another URL by now', 0);
    if (webhook) onGone(webhook);
  };
  return async (webhook: Webhook, head: Delivery, made: number): Promise<Delivery | undefined> => {
    const failure = await send(webhook, head, signal);
    if (!failure) return store.settle(webhook.id, head);
    if (failure.isGone) return stop(webhook);
    if (made >= tries) return giveUp(webhook, head, failure, made);
    const askedMs = Math.min(failure.retryAfterMs ?? 0, mostRetryAfterMs);
    throw new TryAgain(failure.message, Math.max(backoffMs(made, firstWaitMs), askedMs));
  };
}

/** Each webhook has a share of the places of a process. `false`: it has all of its own. */
function createTurns(share: number) {
  const underWay = new Map<string, number>();
  return async (webhook: string, act: () => Promise<void>): Promise<boolean> => {
    const before = underWay.get(webhook) ?? 0;
    if (before >= share) return false;
    underWay.set(webhook, before + 1);
    try {
      await act();
      return true;
    } finally {
      const left = (underWay.get(webhook) ?? 1) - 1;
      if (left === 0) underWay.delete(webhook);
      else underWay.set(webhook, left);
    }
  };
}

function createWork({ store }: WebhookWorkerOptions, jobs: Jobs, attempt: ReturnType<typeof createAttempt>) {
  return async ({ data: { webhook: id, station, delivery }, attemptsMade }: Job<JobData>): Promise<void> => {
    const [webhook, head] = await Promise.all([store.read(id), store.head(id, station)]);
    // What waits for one that is stopped gets jobs by the sweep, once it goes on.
    if (!webhook || isStopped(webhook) || !head) return;
    // The list has moved on: the worker that moved it may have been killed before it gave the next one its job.
    const next = head.id === delivery ? await attempt(webhook, head, attemptsMade + 1) : head;
    if (next) await jobs.add(id, next);
  };
}

/** Works until stopped. */
export function startWebhookWorker(options: WebhookWorkerOptions) {
  const { redis, keys, concurrency, firstWaitMs, lockMs, onError } = options;
  const stopping = new AbortController();
  const jobs = createJobs(options);
  const work = createWork(options, jobs, createAttempt(options, stopping.signal));
  const inTurn = createTurns(Math.max(1, Math.floor(concurrency / 4)));

  const process = async (job: Job<JobData>, token?: string): Promise<void> => {
    if (await inTurn(job.data.webhook, () => work(job))) return;
    await job.moveToDelayed(Date.now() + TURN_MS, token);
    throw new DelayedError();
  };
  const worker = new Worker<JobData>(QUEUE, process, {
    connection: redis,
    prefix: keys.jobs,
    concurrency,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
    maxStalledCount: Number.MAX_SAFE_INTEGER,
    lockDuration: lockMs,
    stalledInterval: lockMs,
    settings: { backoffStrategy: (_made, _type, error) => (error instanceof TryAgain ? error.waitMs : firstWaitMs) },
  });
  worker.on('error', onError);
  worker.on('failed', (_job, error) => {
    if (!(error instanceof TryAgain)) onError(error);
  });
  const timer = setInterval(() => void jobs.sweep(), SWEEP_MS);

  return {
    onDeliveries: (webhook: string, stations: readonly string[]): Promise<void> =>
      jobs.addHeads(webhook, stations).catch(onError),
    /** Now, and not at the next interval. Never rejects. */
    sweep: jobs.sweep,
    async stop(): Promise<void> {
      clearInterval(timer);
      stopping.abort(new Error('the worker stops'));
      await worker.close();
      await jobs.close();
    },
  };
}
