/** BullMQ as the means by which expected jobs get done: added after every commit, compared by the reconciler. */
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Keys } from '../records/keys.js';
import type { OperationRecord } from '../records/kinds.js';
import { type ExpectedJob, expectedJob, type JobData, QUEUE_NAMES, type QueueName } from './expected-job.js';

/** Due times may differ by this much before a job is moved; less is not worth a round trip. */
const DUE_TOLERANCE_MS = 1000;

/** BullMQ orders delayed jobs of one millisecond by the low 12 bits of their score. */
const DELAYED_SCORE_PER_MS = 0x1000;

export interface Jobs {
  /** Add the job the record wants, if it wants one. A job that is there already stays as it is. */
  ensure(record: OperationRecord): Promise<void>;
  /** As `ensure`, and a job that waits for the wrong time is moved. Returns what was mended, if anything. */
  reconcile(record: OperationRecord): Promise<'added' | 'moved' | undefined>;
  close(): Promise<void>;
}

export function createJobs(redis: Redis, keys: Keys, now: () => number = Date.now): Jobs {
  const queues = new Map<QueueName, Queue<JobData>>();
  for (const name of QUEUE_NAMES) {
    const queue = new Queue<JobData>(name, { connection: redis, prefix: keys.jobs });
    // Connection trouble shows at each call; without a listener it would end the process.
    queue.on('error', () => undefined);
    queues.set(name, queue);
  }
  const queueOf = (name: QueueName): Queue<JobData> => queues.get(name) as Queue<JobData>;

  const add = async (record: OperationRecord, job: ExpectedJob): Promise<void> => {
    await queueOf(job.queue).add(
      job.name,
      { operationId: record.id },
      {
        jobId: job.jobId,
        delay: Math.max(0, job.dueAt - now()),
        attempts: 1,
        // A kept job with the same id would swallow the next one.
        removeOnComplete: true,
        removeOnFail: true,
      },
    );
  };

  return {
    async ensure(record) {
      const job = expectedJob(record);
      if (job) await add(record, job);
    },
    async reconcile(record) {
      const wanted = expectedJob(record);
      if (!wanted) return undefined;
      const job = await queueOf(wanted.queue).getJob(wanted.jobId);
      if (!job) {
        await add(record, wanted);
        return 'added';
      }
      // The job itself tells its delay, but not since when: it may have been moved before.
      const score = await redis.zscore(queueOf(wanted.queue).toKey('delayed'), wanted.jobId);
      if (score === null) return undefined;
      const dueAt = Number(score) / DELAYED_SCORE_PER_MS;
      const target = Math.max(wanted.dueAt, now());
      if (Math.abs(dueAt - target) <= DUE_TOLERANCE_MS || (dueAt <= now() && target <= now())) return undefined;
      await job.changeDelay(Math.max(0, wanted.dueAt - now()));
      return 'moved';
    },
    async close() {
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
}
