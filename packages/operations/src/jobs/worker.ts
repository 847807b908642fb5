/** BullMQ's side of a worker: take jobs from a queue, hand them to the loop, abort what is not wanted any more. */
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import { type Job, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Notifications } from '../records/notifications.js';
import type { JobData, JobName, QueueName } from './expected-job.js';
import { CLOCK_JUMPED, createJobLoop, type JobLoopOptions, LOCK_LOST, STOPPING } from './job-loop.js';
import { shortenLocks } from './lock-limits.js';

export interface WorkerOptions extends JobLoopOptions {
  readonly queue: QueueName;
  readonly redis: Redis;
  readonly notifications: Notifications;
  readonly concurrency: number;
  readonly lockMs: number;
}

export type RunningWorker = ReturnType<typeof startWorker>;

/** How soon the queue is asked again that answered with an error. */
const RETRY_MS = 1000;

export function startWorker(options: WorkerOptions) {
  const { store, log, queue } = options;
  // A job whose lock was lost may run twice in this very process.
  const active = new Set<{ jobId: string; operationId: string; controller: AbortController }>();
  const stopping = new AbortController();
  const work = createJobLoop(options);

  options.notifications.on('cancel', (operationId) => {
    for (const run of active) {
      if (run.operationId === operationId) run.controller.abort(new CodedError('ABORTED', 'canceled'));
    }
  });

  const lockLost = (): CodedError => new CodedError(LOCK_LOST, 'lock lost: another worker may have the job');

  const process = async (job: Job<JobData>, token = '', lockSignal?: AbortSignal): Promise<void> => {
    const controller = new AbortController();
    const { operationId } = job.data;
    const jobId = job.id ?? '';
    const signals = [controller.signal, stopping.signal, ...(lockSignal ? [lockSignal] : [])];
    const signal = AbortSignal.any(signals);
    const run = { jobId, operationId, controller };
    const isOurs = async (): Promise<boolean> => {
      const held = !signal.aborted && (await job.extendLock(token, options.lockMs)) === 1;
      if (!held) controller.abort(lockLost());
      return held;
    };
    active.add(run);
    try {
      // A queue holds the jobs of its own names alone.
      await work({ jobId, name: job.name as JobName, operationId, isOurs }, signal);
    } finally {
      active.delete(run);
    }
  };

  const lookMs = Math.max(500, Math.round(options.lockMs / 2));
  const worker = new Worker<JobData>(queue, process, {
    connection: options.redis,
    prefix: store.keys.jobs,
    concurrency: options.concurrency,
    lockDuration: options.lockMs,
    stalledInterval: lookMs,
    // After an error reply, as of a Redis that is full; the default is 15 s.
    runRetryDelay: RETRY_MS,
    // Jobs carry no tries; whether to go on is for the record to say.
    maxStalledCount: Number.MAX_SAFE_INTEGER,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
  });
  worker.on('error', (error) => log.warn({ err: error, queue }, 'queue connection'));
  worker.on('failed', (job, error) => log.warn({ err: error, operationId: job?.data.operationId }, 'job failed'));
  worker.on('lockRenewalFailed', (jobIds: string[]) => {
    for (const run of active) {
      if (jobIds.includes(run.jobId)) run.controller.abort(lockLost());
    }
  });

  const limiter = setInterval(() => {
    shortenLocks(options.redis, (part) => worker.toKey(part), options.lockMs, lookMs).then(
      (cut) => cut > 0 && log.warn({ queue, cut }, 'locks that would have lasted too long were cut short'),
      (error: unknown) => log.debug({ reason: describeError(error) }, 'locks not looked at'),
    );
  }, lookMs).unref();

  return {
    /** Take no new jobs, abort those that run, wait for them. Another worker takes up what was aborted. */
    async stop(): Promise<void> {
      clearInterval(limiter);
      const closing = worker.close();
      stopping.abort(new CodedError(STOPPING, 'shutdown'));
      await closing;
    },
    /** Abort what runs and do it again under a new lock: the clock that BullMQ renews locks by has been set. */
    beginAnew(): void {
      for (const run of active) run.controller.abort(new CodedError(CLOCK_JUMPED, 'the clock has jumped'));
    },
    isRunning: (): boolean => worker.isRunning(),
  };
}
