/** The baseline of job-throughput: a BullMQ worker that does nothing. */
import { patientRedis } from '@khumbu/shared/runtime/redis';
import { Worker } from 'bullmq';
import { BARE_QUEUE } from './bare-queue.js';
import { serveCalls } from './remote.js';

serveCalls({
  async start({ redisUrl, concurrency }: { readonly redisUrl: string; readonly concurrency: number }) {
    const worker = new Worker(BARE_QUEUE, async () => undefined, {
      connection: patientRedis(redisUrl, () => undefined),
      concurrency,
      removeOnComplete: { count: 0 },
    });
    await worker.waitUntilReady();
  },
});
