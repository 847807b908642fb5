/**
 * Operations that begin where the intake's confirmation does: the record is committed and its job added. Each is over
 * when the station receives its status, and the next one of that station begins. The bare side adds a job to BullMQ and
 * learns of its end by BullMQ's own events.
 */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { createJobs, type Jobs } from '@khumbu/operations/jobs/jobs';
import { createStore, type Store } from '@khumbu/operations/kinds/store';
import { patientRedis } from '@khumbu/shared/runtime/redis';
import { Queue, QueueEvents } from 'bullmq';
import { BARE_QUEUE } from './bare-queue.js';
import { connectMqtt } from './mqtt-client.js';
import { acceptedOperation } from './operations.js';
import { serveCalls } from './remote.js';

export interface FeederOptions {
  readonly url: string;
  readonly redisUrl: string;
  readonly stations: readonly string[];
}

let store: Store;
let jobs: Jobs;
let stations: readonly string[] = [];
let queue: Queue;
const ends = new Map<string, () => void>();
let ids = 0;

const ended = (key: string): Promise<void> => new Promise((resolve) => ends.set(key, resolve));
const end = (key: string): void => {
  ends.get(key)?.();
  ends.delete(key);
};

/** All stations at once, each one after itself. Ends a second, without the first fifth of the time. */
async function endsPerS(seconds: number, once: (station: string) => Promise<void>): Promise<number> {
  const began = performance.now();
  const warm = began + seconds * 200;
  const over = began + seconds * 1000;
  let count = 0;
  await Promise.all(
    stations.map(async (station) => {
      while (performance.now() < over) {
        await once(station);
        const now = performance.now();
        if (now >= warm && now < over) count += 1;
      }
    }),
  );
  return count / (seconds * 0.8);
}

serveCalls({
  async start(options: FeederOptions) {
    stations = options.stations;
    const connect = () => patientRedis(options.redisUrl, () => undefined);
    store = createStore(connect(), 'khumbu');
    jobs = createJobs(connect(), store.keys, () => momentOf(Date.now()));
    const mqtt = await connectMqtt(options.url);
    mqtt.on('message', (topic) => end(topic.split('/')[3] as string));
    await mqtt.subscribeAsync('everest_api/1/system/+/m2e/configure_network_status', { qos: 0 });
    for (const station of stations) {
      await mqtt.publishAsync(`everest_api/1/system/${station}/e2m/heartbeat`, '0', { qos: 2 });
    }
    queue = new Queue(BARE_QUEUE, { connection: connect() });
    const events = new QueueEvents(BARE_QUEUE, { connection: connect() });
    events.on('completed', ({ jobId }) => end(jobId));
    await events.waitUntilReady();
  },

  operations: (seconds: number): Promise<number> =>
    endsPerS(seconds, async (station) => {
      const record = acceptedOperation(station, ++ids);
      const over = ended(station);
      await store.commit(store.transaction().put(record));
      await jobs.ensure(record);
      await over;
    }),

  bareJobs: (seconds: number): Promise<number> =>
    endsPerS(seconds, async (station) => {
      const jobId = `${station}-${++ids}`;
      const over = ended(jobId);
      await queue.add('bare', { station }, { jobId, removeOnComplete: true, removeOnFail: true });
      await over;
    }),
});
