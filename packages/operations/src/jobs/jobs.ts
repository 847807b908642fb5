/** BullMQ as the means by which expected jobs get done: added after every commit, compared by the reconciler. */
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Moment, Now } from '../clock/depot-clock.js';
import type { OperationRecord } from '../kinds/kinds.js';
import type { Keys } from '../records/keys.js';
import { type ExpectedJob, expectedJob, type JobData, QUEUE_NAMES, type QueueName, waitOf } from './expected-job.js';

/** How long BullMQ may take to notice by itself that a delayed job is due. */
const NOTICE_MS = 1000;

const hasLongBeenDue = (job: ExpectedJob, { wall, monotonic }: Moment): boolean =>
  waitOf(job, { wall: wall - NOTICE_MS, monotonic: monotonic - NOTICE_MS }) === 0;

export type Jobs = ReturnType<typeof createJobs>;

export function createJobs(redis: Redis, keys: Keys, now: Now) {
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
        delay: waitOf(job, now()),
        attempts: 1,
        // A kept job with the same id would swallow the next one.
        removeOnComplete: true,
        removeOnFail: true,
      },
    );
  };

  return {
    /** Add the job the record wants, if it wants one. A job that is there already stays as it is. */
    async ensure(record: OperationRecord): Promise<void> {
      const job = expectedJob(record);
      if (job) await add(record, job);
    },
    /**
     * As `ensure`, and a job that is due and still waits for its time begins. BullMQ counts delays by the clocks of the
     * hosts of those who add jobs and take them; one of them has been set. (A job that begins too early is put back by
     * the worker that takes it.) Returns what was mended, if anything.
     */
    async reconcile(record: OperationRecord): Promise<'added' | 'promoted' | undefined> {
      const wanted = expectedJob(record);
      if (!wanted) return undefined;
      const job = await queueOf(wanted.queue).getJob(wanted.jobId);
      if (!job) {
        await add(record, wanted);
        return 'added';
      }
      const delayed = queueOf(wanted.queue).toKey('delayed');
      const isDelayed = async (): Promise<boolean> => (await redis.zscore(delayed, wanted.jobId)) !== null;
      if (!(await isDelayed()) || !hasLongBeenDue(wanted, now())) return undefined;
      try {
        await job.promote();
      } catch (error) {
        // A worker took it in this very moment.
        if (await isDelayed()) throw error;
        return undefined;
      }
      return 'promoted';
    },
    async close(): Promise<void> {
      await Promise.all([...queues.values()].map((queue) => queue.close()));
    },
  };
}
