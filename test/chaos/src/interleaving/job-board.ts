/**
 * The queues of one schedule, with what of BullMQ matters to the product: one job for each id, a job that is worked on
 * is not added again, and a job whose worker does not renew its lock is handed to the next one.
 */
import { type ExpectedJob, expectedJob, type QueueName } from '@khumbu/operations/jobs/expected-job';
import type { TakenJob } from '@khumbu/operations/jobs/job-loop';
import type { Jobs } from '@khumbu/operations/jobs/jobs';
import type { Pass } from './gated.js';

interface BoardJob extends ExpectedJob {
  readonly operationId: string;
  /** On the one clock of the schedule, which is the date as well. */
  dueAt: number;
  /** Who works on it; a new one with every taking. */
  taken?: symbol;
  by?: string;
}

export interface Taken {
  readonly job: Omit<TakenJob, 'isOurs'>;
  /** It was not handed on meanwhile. */
  isHeld(): boolean;
  /** Of no effect when the job was handed on meanwhile. */
  end(): void;
}

const onBoard = (job: ExpectedJob, operationId: string): BoardJob => ({ ...job, operationId, dueAt: dueAtOf(job) });
const dueAtOf = ({ date = 0, notBefore = 0 }: ExpectedJob): number => Math.max(date, notBefore);

export function createJobBoard(now: () => number) {
  const jobs = new Map<string, BoardJob>();
  const waiting = (queues: readonly QueueName[]): BoardJob[] =>
    [...jobs.values()].filter((job) => job.taken === undefined && queues.includes(job.queue));
  return {
    /** The port of the product, each call at its turn. */
    port: (pass: Pass): Jobs => ({
      ensure: (record) =>
        pass('add job', () => {
          const job = expectedJob(record);
          if (job && !jobs.has(job.jobId)) jobs.set(job.jobId, onBoard(job, record.id));
        }),
      reconcile: (record) =>
        pass('compare job', () => {
          const wanted = expectedJob(record);
          if (!wanted) return undefined;
          const job = jobs.get(wanted.jobId);
          if (!job) {
            jobs.set(wanted.jobId, onBoard(wanted, record.id));
            return 'added';
          }
          if (job.taken !== undefined || job.dueAt <= now() || dueAtOf(wanted) > now()) return undefined;
          job.dueAt = now();
          return 'promoted';
        }),
      close: async () => undefined,
    }),
    hasDue: (queues: readonly QueueName[]): boolean => waiting(queues).some((job) => job.dueAt <= now()),
    nextDueAt(queues: readonly QueueName[]): number | undefined {
      const next = Math.min(...waiting(queues).map((job) => job.dueAt));
      return Number.isFinite(next) ? next : undefined;
    },
    take(queues: readonly QueueName[], by: string): Taken | undefined {
      const job = waiting(queues).find(({ dueAt }) => dueAt <= now());
      if (!job) return undefined;
      const taken = Symbol(by);
      job.taken = taken;
      job.by = by;
      const isHeld = (): boolean => jobs.get(job.jobId)?.taken === taken;
      return {
        job,
        isHeld,
        end: () => {
          if (isHeld()) jobs.delete(job.jobId);
        },
      };
    },
    isWorking: (by: string): boolean => [...jobs.values()].some((job) => job.taken !== undefined && job.by === by),
    /** The locks of this worker ran out: its jobs wait again. It may not know. */
    handOn(by: string): void {
      for (const job of jobs.values()) if (job.by === by) delete job.taken;
    },
    left: (): string[] => [...jobs.keys()],
  };
}
