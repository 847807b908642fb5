/** A worker that takes an upload and never ends it: to be killed while it works. REDIS_URL and KEY_PREFIX from the environment. */

import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { createJobs } from '@khumbu/operations/jobs/jobs';
import { startWorker } from '@khumbu/operations/jobs/worker';
import { createStore } from '@khumbu/operations/kinds/store';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { Redis } from 'ioredis';

const moment = () => momentOf(Date.now());
const redis = new Redis(process.env.REDIS_URL ?? '', { maxRetriesPerRequest: null });
const store = createStore(redis, process.env.KEY_PREFIX ?? '');
startWorker({
  queue: 'log-uploads',
  steps: {
    upload: async (record) => {
      process.stdout.write(`begun ${record.id}\n`);
      await new Promise<void>(() => undefined);
    },
  },
  redis,
  store,
  jobs: createJobs(redis, store.keys, moment),
  notifications: { on: () => () => undefined, close: () => undefined },
  log: createLogger('child', 'silent'),
  now: moment,
  concurrency: 1,
  lockMs: 1000,
});
