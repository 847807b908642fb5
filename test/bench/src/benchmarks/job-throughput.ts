/** How many operations a second one system-control does, from the committed record to the status at the station. */
import { join } from 'node:path';
import { startDepot } from '@khumbu/chaos/depot/depot';
import type { FeederOptions } from '../load/job-feeder.js';
import { startRemote } from '../load/remote.js';
import type { Benchmark } from '../row.js';
import { interleaved, stationNames } from '../stage.js';

/** As many as one system-control acts on at once. */
const AT_ONCE = 50;
const STATIONS = 100;

export const jobThroughput: Benchmark<'job-throughput'> = {
  rows: [
    {
      name: 'job-throughput',
      unit: '1/s',
      baselineName: 'BullMQ add to complete, same Redis settings',
      wanted: 'ratio >= 0.4',
      meets: ({ ratio }) => ratio !== null && ratio >= 0.4,
    },
  ],
  async measure(context) {
    const isShort = context.effort === 'short';
    const services = ['gateway-1', 'system-control-1'] as const;
    const depot = await startDepot(context, { dir: join(context.dir, 'depot'), services, proxies: false });
    await depot.leader();
    const worker = await startRemote(context, 'bare-worker');
    await worker.call('start', { redisUrl: depot.redisUrl, concurrency: AT_ONCE });
    const feeder = await startRemote(context, 'job-feeder');
    const options: FeederOptions = {
      url: depot.mqttUrl,
      redisUrl: depot.redisUrl,
      stations: stationNames(STATIONS),
    };
    await feeder.call('start', options);
    const seconds = isShort ? 5 : 8;
    await feeder.call('operations', isShort ? 1 : 4);
    await feeder.call('bareJobs', isShort ? 1 : 4);
    const measured = await interleaved(
      isShort ? 1 : 7,
      () => feeder.call<number>('operations', seconds),
      () => feeder.call<number>('bareJobs', seconds),
    );
    return { 'job-throughput': measured };
  },
};
