/** What everything in a gateway stands on: Redis, the depot's clock, records, jobs, notifications. */
import { type DepotClock, openDepotClock } from '@khumbu/operations/clock/depot-clock';
import { createJobs, type Jobs } from '@khumbu/operations/jobs/jobs';
import { auditEnded } from '@khumbu/operations/kinds/audit';
import { createStore, type Store } from '@khumbu/operations/kinds/store';
import { keysFor } from '@khumbu/operations/records/keys';
import { type Notifications, subscribeNotifications } from '@khumbu/operations/records/notifications';
import { watchClock } from '@khumbu/shared/runtime/clock-watch';
import type { Lifecycle } from '@khumbu/shared/runtime/lifecycle';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { patientRedis, promptRedis } from '@khumbu/shared/runtime/redis';
import type { Redis } from 'ioredis';
import type { GatewayConfig } from '../config.js';

/** A Redis that takes longer than this for one command counts as not there. */
const COMMAND_TIMEOUT_MS = 400;
/** Whoever only reads over REST may wait for longer than a station. */
const READ_TIMEOUT_MS = 1000;

export interface Connections {
  /** Fails fast: what answers build on. */
  readonly prompt: Redis;
  readonly promptStore: Store;
  /** For REST, where it only reads. */
  readonly reading: Redis;
  /** Waits for Redis: everything behind an answer. */
  readonly patient: Redis;
  readonly store: Store;
  /** One more that waits, for commands that block. */
  readonly anotherPatient: () => Redis;
  readonly clock: DepotClock;
  readonly jobs: Jobs;
  readonly notifications: Notifications;
}

export async function openConnections(config: GatewayConfig, life: Lifecycle, log: Logger): Promise<Connections> {
  const onError = (error: Error): void => log.debug({ err: error }, 'Redis connection');
  const anotherPatient = (): Redis => patientRedis(config.REDIS_URL, onError);
  const prompt = promptRedis(config.REDIS_URL, COMMAND_TIMEOUT_MS, onError);
  const reading = promptRedis(config.REDIS_URL, READ_TIMEOUT_MS, onError);
  const patient = anotherPatient();
  const forNotifications = anotherPatient();
  life.onStop('Redis', () => {
    for (const redis of [prompt, reading, patient]) redis.disconnect();
  });
  const clock = await openDepotClock(patient, keysFor(config.KEY_PREFIX).clock, log);
  life.onStop('clock', () => clock.stop());
  const { now } = clock;
  const promptStore = createStore(prompt, config.KEY_PREFIX, auditEnded(log), now);
  const store = createStore(patient, config.KEY_PREFIX, auditEnded(log), now);
  life.onStop(
    'clock watch',
    watchClock((byMs) => log.warn({ byMs }, 'the clock of this host has jumped')),
  );
  const jobs = createJobs(patient, store.keys, now);
  life.onStop('queues', () => jobs.close());
  const notifications = await subscribeNotifications(forNotifications, store.keys);
  life.onStop('notifications', () => notifications.close());
  return { prompt, promptStore, reading, patient, store, anotherPatient, clock, jobs, notifications };
}
