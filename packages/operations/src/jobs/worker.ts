/**
 * The loop that all workers share: take a job, read its record, do the step the record wants now, and go on until the
 * record wants something else. BullMQ says when to look; the record says what to do.
 *
 * A job may run twice at the same time (a frozen process, a lost lock). Commits are fenced by the record's version;
 * steps that touch a station are idempotent and exclusive on the station itself.
 */
import { CodedError, describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { type Job, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Hints } from '../records/hints.js';
import type { OperationRecord } from '../records/kinds.js';
import type { Change, Store } from '../records/store.js';
import { expectedJob, type JobData, type JobName, type QueueName } from './expected-job.js';
import type { Jobs } from './jobs.js';

/** The code of the reason of a step's signal when another worker does the same step now. */
export const LOCK_LOST = 'LOCK_LOST';

export interface StepContext {
  /** Fires when the work is not wanted any more: canceled, superseded, lock lost, shutdown. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Commit, or reject with `CONFLICT`: the record has moved on and the loop reads it again. */
  readonly commit: (change: Change) => Promise<void>;
  /**
   * The job is still this run's. `false`: another worker has taken it over, and what failed here may be going well
   * there. Asked before a failure is stored.
   */
  readonly isOurs: () => Promise<boolean>;
}

/**
 * One step. It ends with a commit that makes the record want something else, or another run. An error that is not its
 * own business is thrown: the loop puts the record off and tries again.
 */
export type Step<R extends OperationRecord = OperationRecord> = (record: R, context: StepContext) => Promise<void>;

export interface WorkerOptions {
  readonly queue: QueueName;
  readonly steps: Partial<Record<JobName, Step>>;
  readonly redis: Redis;
  readonly store: Store;
  readonly jobs: Jobs;
  readonly hints: Hints;
  readonly log: Logger;
  readonly concurrency: number;
  readonly lockMs: number;
  readonly now?: () => number;
}

export interface RunningWorker {
  /** Take no new jobs, abort those that run, wait for them. What was aborted is taken up again by whoever is next. */
  stop(): Promise<void>;
  isRunning(): boolean;
}

/** Steps in a row for one job; more means that a step does not move its record. */
const MAX_STEPS = 60;
const backoffMs = (faults: number): number => Math.min(30_000, 500 * 2 ** Math.min(faults - 1, 6));

/** The record put off: it wants the same job again, later. */
export function putOff<R extends OperationRecord>(record: R, until: number, waitingFor: string, now: number): R {
  return { ...record, notBefore: until, waitingFor, run: record.run + 1, updatedAt: now };
}

export function startWorker(options: WorkerOptions): RunningWorker {
  const { store, jobs, log, steps, queue } = options;
  const now = options.now ?? Date.now;
  // A job whose lock was lost may run twice in this very process.
  const active = new Set<{ jobId: string; operationId: string; controller: AbortController }>();
  const stopping = new AbortController();

  options.hints.on('cancel', (operationId) => {
    for (const run of active) {
      if (run.operationId === operationId) run.controller.abort(new CodedError('ABORTED', 'canceled'));
    }
  });

  const commit = async (change: Change): Promise<void> => {
    if (!(await store.commit(change))) throw new CodedError('CONFLICT', 'the record has moved on');
  };

  /** A surprise: keep the record, say why, try again later. Never lets an operation hang without a job. */
  const fault = async (record: OperationRecord, error: unknown): Promise<void> => {
    const faults = (record.faults ?? 0) + 1;
    const again = putOff({ ...record, faults }, now() + backoffMs(faults), `error: ${describeError(error)}`, now());
    await store.commit(store.change().put(again));
  };

  const runStep = async (
    job: Job<JobData>,
    record: OperationRecord,
    signal: AbortSignal,
    isOurs: () => Promise<boolean>,
  ): Promise<void> => {
    const step = steps[job.name as JobName];
    if (!step) throw new CodedError('NO_STEP', `no step for the job ${job.name}`);
    const stepLog = log.child({ operationId: record.id, station: record.station, request_id: record.requestId });
    try {
      await step(record, { signal, log: stepLog, commit, isOurs });
    } catch (error) {
      // An abort that our signal did not ask for is a surprise like any other.
      if (hasCode(error, 'CONFLICT') || signal.aborted) return;
      if (!(await isOurs())) {
        stepLog.warn({ err: error, state: record.state }, 'step failed after another worker took it over');
        return;
      }
      stepLog.error({ err: error, state: record.state }, 'step failed');
      await fault(record, error);
    }
  };

  const process = async (job: Job<JobData>, token = '', lockSignal?: AbortSignal): Promise<void> => {
    const controller = new AbortController();
    const { operationId } = job.data;
    const jobId = job.id ?? '';
    const signals = [controller.signal, stopping.signal, ...(lockSignal ? [lockSignal] : [])];
    const signal = AbortSignal.any(signals);
    const run = { jobId, operationId, controller };
    const isOurs = async (): Promise<boolean> => {
      const held = !signal.aborted && (await job.extendLock(token, options.lockMs)) === 1;
      if (!held) controller.abort(new CodedError(LOCK_LOST, 'lock lost: another worker may have the job'));
      return held;
    };
    active.add(run);
    try {
      for (let count = 0; count < MAX_STEPS; count++) {
        const record = await store.load(operationId);
        if (!record) return;
        const wanted = expectedJob(record);
        if (!wanted) return;
        if (wanted.jobId !== jobId || wanted.dueAt > now() + 1000) {
          if (wanted.jobId === jobId) await store.commit(store.change().put({ ...record, run: record.run + 1 }));
          else await jobs.ensure(record);
          if (wanted.jobId !== jobId) return;
          continue;
        }
        if (signal.aborted) return;
        await runStep(job, record, signal, isOurs);
      }
      log.error({ operationId, job: job.name }, 'a step does not move its record');
    } finally {
      active.delete(run);
    }
  };

  const worker = new Worker<JobData>(queue, process, {
    connection: options.redis,
    prefix: store.keys.jobs,
    concurrency: options.concurrency,
    lockDuration: options.lockMs,
    stalledInterval: Math.max(500, Math.round(options.lockMs / 2)),
    // Jobs carry no tries; whether to go on is for the record to say.
    maxStalledCount: Number.MAX_SAFE_INTEGER,
    removeOnComplete: { count: 0 },
    removeOnFail: { count: 0 },
  });
  worker.on('error', (error) => log.warn({ err: error, queue }, 'queue connection'));
  worker.on('failed', (job, error) => log.warn({ err: error, operationId: job?.data.operationId }, 'job failed'));
  worker.on('lockRenewalFailed', (jobIds: string[]) => {
    for (const run of active) {
      if (jobIds.includes(run.jobId))
        run.controller.abort(new CodedError(LOCK_LOST, 'lock lost: another worker may have the job'));
    }
  });

  return {
    async stop() {
      const closing = worker.close();
      stopping.abort(new CodedError('ABORTED', 'shutdown'));
      await closing;
    },
    isRunning: () => worker.isRunning(),
  };
}
