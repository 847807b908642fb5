/**
 * What all workers do with a job: read its record, do the step the record wants now, and go on
 * until the record wants something else. The queue says when to look; the record says what to do.
 *
 * A job may run twice at the same time (a frozen process, a lost lock). Commits are fenced by the record's version;
 * steps that touch a station are idempotent and exclusive on the station itself.
 */
import { CodedError, describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Moment, Now } from '../clock/depot-clock.js';
import type { KINDS, OperationKind, OperationRecord, RecordOf } from '../kinds/kinds.js';
import { commitOrThrow, type Store, type Transaction } from '../kinds/store.js';
import { without } from '../records/record.js';
import { type StoredWait, waitingSince } from '../records/wait-words.js';
import { expectedJob, type JobName, waitOf } from './expected-job.js';
import type { Jobs } from './jobs.js';

/** The code of the reason of a step's signal when another worker does the same step now. */
export const LOCK_LOST = 'LOCK_LOST';

/** The code of the reason that makes the loop do its job anew, under a new lock. */
export const CLOCK_JUMPED = 'CLOCK_JUMPED';

/** The code of the reason of a step's signal when its worker stops; another one takes the job up. */
export const STOPPING = 'STOPPING';

/** Whether a step that was aborted so is done again: what it has prepared is of use then. */
export const isDoneAgain = (reason: unknown): boolean => hasCode(reason, LOCK_LOST, CLOCK_JUMPED, STOPPING);

export interface StepContext {
  /** Fires when the work is not wanted any more: canceled, superseded, lock lost, shutdown. */
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** Commit, or reject with `CONFLICT`: the record has moved on and the loop reads it again. */
  readonly commit: (transaction: Transaction) => Promise<void>;
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
interface StepOf<R> {
  /** A method: the loop hands every step the records of the kind whose job it is. */
  run(record: R, context: StepContext): Promise<void>;
}
export type Step<R extends OperationRecord = OperationRecord> = StepOf<R>['run'];

/** The step for each job, with the records of the kind that has this job. */
export type Steps = {
  readonly [K in OperationKind as (typeof KINDS)[K]['jobs'][number]]?: Step<RecordOf<K>>;
};

export interface JobLoopOptions {
  readonly steps: Steps;
  readonly store: Store;
  readonly jobs: Pick<Jobs, 'ensure'>;
  readonly log: Logger;
  readonly now: Now;
}

/** A job as it was taken from its queue. */
export interface TakenJob {
  readonly jobId: string;
  readonly name: JobName;
  readonly operationId: string;
  /** No other worker has taken it over. */
  readonly isOurs: () => Promise<boolean>;
}

/** Steps in a row for one job; more means that a step does not move its record. */
const MAX_STEPS = 60;
/** A job may begin this much before its time. */
const EARLY_MS = 1000;
const backoffMs = (faults: number): number => Math.min(30_000, 500 * 2 ** Math.min(faults - 1, 6));

/**
 * The record put off: it wants the same job again, later. `until`: when the wait is over by itself, where that is not the
 * next look; monotonic.
 */
export function putOff<R extends OperationRecord>(
  record: R,
  waitMs: number,
  waitingFor: StoredWait,
  now: Moment,
  until?: number,
): R {
  return {
    ...without(record, 'waitingUntil'),
    notBefore: now.monotonic + waitMs,
    waitingFor,
    waitingSince: waitingSince(record, waitingFor, now),
    ...(until === undefined ? {} : { waitingUntil: until }),
    run: record.run + 1,
    updatedAt: now.wall,
  };
}

/** Resolves when the record wants nothing of this job any more, or the signal has fired. */
export function createJobLoop({ steps, store, jobs, log, now }: JobLoopOptions) {
  const commit = async (transaction: Transaction): Promise<void> => {
    await commitOrThrow(store, transaction);
  };

  /** A surprise: keep the record, say why, try again later. Never lets an operation hang without a job. */
  const fault = async (record: OperationRecord, error: unknown): Promise<void> => {
    const faults = (record.faults ?? 0) + 1;
    const again = putOff({ ...record, faults }, backoffMs(faults), `error: ${describeError(error)}`, now());
    await store.commit(store.transaction().put(again));
  };

  const runStep = async ({ name, isOurs }: TakenJob, record: OperationRecord, signal: AbortSignal): Promise<void> => {
    const step: Step | undefined = steps[name];
    if (!step) throw new CodedError('NO_STEP', `no step for the job ${name}`);
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

  return async (job: TakenJob, signal: AbortSignal): Promise<void> => {
    const { jobId, operationId } = job;
    for (let count = 0; count < MAX_STEPS; count++) {
      const record = await store.load(operationId);
      if (!record) return;
      const wanted = expectedJob(record);
      if (!wanted) return;
      if (wanted.jobId !== jobId) {
        await jobs.ensure(record);
        return;
      }
      if (waitOf(wanted, now()) > EARLY_MS || hasCode(signal.reason, CLOCK_JUMPED)) {
        await store.commit(store.transaction().put({ ...record, run: record.run + 1 }));
        continue;
      }
      if (signal.aborted) return;
      await runStep(job, record, signal);
    }
    log.error({ operationId, job: job.name }, 'a step does not move its record');
  };
}
