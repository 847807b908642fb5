/** What every worker service is made of; its `main` adds its own steps. */
import { watchClock } from '@khumbu/shared/runtime/clock-watch';
import type { COMMON_SETTINGS, WORKER_SETTINGS } from '@khumbu/shared/runtime/config';
import { countFiles, createFileHealth, type FileHealth } from '@khumbu/shared/runtime/file-health';
import { createMetrics, serveHealth, startHealth } from '@khumbu/shared/runtime/health';
import { type Lifecycle, runService } from '@khumbu/shared/runtime/lifecycle';
import { createLogger, type Logger } from '@khumbu/shared/runtime/logger';
import { patientRedis } from '@khumbu/shared/runtime/redis';
import { openStationDirectory, type StationDirectory } from '@khumbu/shared/stations/stations-file';
import type { Redis } from 'ioredis';
import type { Static, TObject } from 'typebox';
import { type Now, openDepotClock } from '../clock/depot-clock.js';
import { tellFiles } from '../files/told-files.js';
import { auditEnded } from '../kinds/audit.js';
import { createStore, type Store } from '../kinds/store.js';
import { keysFor } from '../records/keys.js';
import { type Notifications, subscribeNotifications } from '../records/notifications.js';
import { createAppendFact } from '../security-log/append-fact.js';
import { createTellLogin, type Login } from '../security-log/tell-login.js';
import { followPolicies, type TellSettings } from '../security-log/told-policy.js';
import type { QueueName } from './expected-job.js';
import type { Steps } from './job-loop.js';
import { createJobs, type Jobs } from './jobs.js';
import { startWorker } from './worker.js';
import { startBeating } from './worker-beats.js';

type CommonConfig = Static<TObject<typeof COMMON_SETTINGS & typeof WORKER_SETTINGS>>;

export interface WorkerParts {
  readonly redis: Redis;
  readonly store: Store;
  readonly jobs: Jobs;
  readonly notifications: Notifications;
  readonly directory: StationDirectory;
  readonly now: Now;
  /** Files that a worker follows are reported to it. */
  readonly files: FileHealth;
  /** The security log has each connection to a station that was opened, or could not be. */
  readonly onLogin: (login: Login) => void;
  /** The security log has a policy that is in the settings, whenever it is another one than before. */
  readonly tellSettings: TellSettings;
}

export interface WorkerQueue {
  readonly queue: QueueName;
  readonly concurrency: number;
  readonly steps: Steps;
}

/** The settings as they were read, and the process they are for. */
export interface WorkerProcess<Config> {
  readonly config: Config;
  readonly life: Lifecycle;
  readonly log: Logger;
}

/** Makes the queues of the service from what all workers are made of. */
export type BuildQueues = (parts: WorkerParts) => Promise<readonly WorkerQueue[]> | readonly WorkerQueue[];

/** The `main` of a worker service. `readConfig` and `prepare` run before it connects: wrong settings end it there. */
export function runWorkerService<Config extends CommonConfig>(
  service: string,
  readConfig: () => Config,
  prepare: (process: WorkerProcess<Config>) => BuildQueues,
): void {
  runService(
    () => createLogger(service, process.env.LOG_LEVEL ?? 'info'),
    async (life, log) => {
      const worker = { config: readConfig(), life, log };
      await runWorkers(service, worker, prepare(worker));
    },
  );
}

/** Connect, build the steps from the parts, work until stopped. */
async function runWorkers(
  service: string,
  { config, life, log }: WorkerProcess<CommonConfig>,
  build: BuildQueues,
): Promise<void> {
  const connect = (what: string): Redis =>
    patientRedis(config.REDIS_URL, (error) => log.debug({ err: error, what }, 'Redis connection'));
  const redis = connect('store');
  life.onStop('Redis', () => redis.disconnect());
  const clock = await openDepotClock(redis, keysFor(config.KEY_PREFIX).clock, log);
  life.onStop('clock', () => clock.stop());
  const { now } = clock;
  const store = createStore(redis, config.KEY_PREFIX, auditEnded(log), now);
  const jobs = createJobs(redis, store.keys, now);
  life.onStop('queues', () => jobs.close());
  const notifications = await subscribeNotifications(connect('notifications'), store.keys);
  life.onStop('notifications', () => notifications.close());
  const files = createFileHealth(log);
  const directory = openStationDirectory(config.STATIONS_FILE, files);
  life.onStop('stations file', () => directory.close());

  const append = createAppendFact(redis, store.keys);
  const policies = followPolicies({ redis, keys: store.keys, service, now, log });
  life.onStop('policies', () => policies.stop());
  files.followContents((setting, content) => void policies.tell(setting, content));
  const onLogin = createTellLogin({ append, service, now, log });
  const { tellSettings } = policies;

  const queues = await build({ redis, store, jobs, notifications, directory, now, files, onLogin, tellSettings });
  const workers = queues.map((queue) =>
    startWorker({ ...queue, redis, store, jobs, notifications, log, now, lockMs: config.JOB_LOCK_MS }),
  );
  const works = (): boolean => workers.every((worker) => worker.isRunning());
  life.onStop(
    'clock watch',
    watchClock((byMs) => {
      log.warn({ byMs }, 'the clock of this host has jumped: what runs begins anew');
      for (const worker of workers) worker.beginAnew();
    }),
  );
  const health = startHealth(
    {
      redis: () => redis.ping(),
      workers: async () => {
        if (!works()) throw new Error('a queue is not worked on');
      },
    },
    { files: files.summary },
  );
  life.onStop('health', () => health.stop());
  const metrics = createMetrics();
  countFiles(files, metrics);
  const server = await serveHealth(health, metrics, { host: config.HEALTH_HOST, port: config.HEALTH_PORT });
  life.onStop('health server', () => server.close());
  const telling = tellFiles(redis, store.keys, service, files, (error) =>
    log.debug({ err: error }, 'the state of files was not told'),
  );
  life.onStop('state of files', () => telling.stop());
  const queueNames = queues.map(({ queue }) => queue);
  const beating = startBeating(redis, store.keys, queueNames, works, (error) => log.debug({ err: error }, 'no beat'));
  life.onStop('workers', async () => {
    beating.stop();
    await Promise.all(workers.map((worker) => worker.stop()));
  });
  life.ready();
}
