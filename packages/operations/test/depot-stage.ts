import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { QueueName } from '@khumbu/operations/jobs/expected-job';
import type { Step } from '@khumbu/operations/jobs/job-loop';
import { createJobs, type Jobs } from '@khumbu/operations/jobs/jobs';
import { type RunningWorker, startWorker } from '@khumbu/operations/jobs/worker';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { applyLogEvent, type LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { createStore, type Store } from '@khumbu/operations/kinds/store';
import { type Notifications, subscribeNotifications } from '@khumbu/operations/records/notifications';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { startRedis } from '@khumbu/test-support/redis';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import t, { type Test } from 'tap';

export const WAIT_MS = 15_000;
export const HOUR = 3600_000;
export const moment = () => momentOf(Date.now());
export const server = await startRedis({ dir: t.testdir({}) });
export const log = createLogger('test', 'silent');
const connect = (): Redis => new Redis(server.url, { maxRetriesPerRequest: null });
export const redis = connect();
t.teardown(async () => {
  redis.disconnect();
  await server.stop();
});

interface Depot {
  readonly prefix: string;
  readonly store: Store;
  readonly jobs: Jobs;
  readonly notifications: Notifications;
  readonly queue: (name: QueueName) => Queue;
  readonly put: <R extends OperationRecord>(record: R) => Promise<R>;
  readonly load: <R extends OperationRecord>(id: string) => Promise<R>;
  readonly work: (queue: QueueName, steps: Record<string, Step>, lockMs?: number) => RunningWorker;
}

let count = 0;
export async function depot(t: Test): Promise<Depot> {
  const prefix = `t${++count}`;
  const store = createStore(redis, prefix);
  const jobs = createJobs(redis, store.keys, moment);
  const notifications = await subscribeNotifications(connect(), store.keys);
  const queues: Queue[] = [];
  const workers: RunningWorker[] = [];
  t.teardown(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    notifications.close();
    await Promise.all([jobs.close(), ...queues.map((queue) => queue.close())]);
  });
  const load = async <R extends OperationRecord>(id: string): Promise<R> => (await store.load(id)) as R;
  return {
    prefix,
    store,
    jobs,
    notifications,
    load,
    queue(name) {
      const queue = new Queue(name, { connection: redis, prefix: store.keys.jobs });
      queues.push(queue);
      return queue;
    },
    async put(record) {
      if (!(await store.commit(store.transaction().put(record)))) throw new Error('not stored');
      return load(record.id);
    },
    work(queue, steps, lockMs = 10_000) {
      const worker = startWorker({
        queue,
        steps,
        redis,
        store,
        jobs,
        notifications,
        log,
        now: moment,
        concurrency: 4,
        lockMs,
      });
      workers.push(worker);
      return worker;
    },
  };
}

export const uploaded = (record: OperationRecord): LogUploadRecord =>
  applyLogEvent(record as LogUploadRecord, 'uploaded', { now: moment(), dialect: 'unknown' }).record;
