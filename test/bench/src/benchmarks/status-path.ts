/** How long a status takes from the worker that commits it to the station that receives it. */
import { join } from 'node:path';
import { startDepot } from '@khumbu/chaos/depot/depot';
import { startRemote } from '../load/remote.js';
import type { ProberOptions } from '../load/status-prober.js';
import type { Benchmark } from '../row.js';
import { interleaved } from '../stage.js';
import { median } from '../statistics.js';

export const statusPath: Benchmark<'status-path-p50'> = {
  rows: [
    {
      name: 'status-path-p50',
      unit: 'ms',
      baselineName: 'bare publish/subscribe, same broker',
      wanted: '<= 10 ms',
      meets: ({ ours }) => ours !== null && ours <= 10,
    },
  ],
  async measure(context) {
    const isShort = context.effort === 'short';
    const depot = await startDepot(context, {
      dir: join(context.dir, 'depot'),
      services: ['gateway-1'],
      proxies: false,
    });
    await depot.leader();
    const prober = await startRemote(context, 'status-prober');
    const options: ProberOptions = { url: depot.mqttUrl, redisUrl: depot.redisUrl, station: 'station-0' };
    await prober.call('start', options);
    const count = isShort ? 50 : 500;
    await prober.call('commits', count);
    await prober.call('publishes', count);
    const measured = await interleaved(
      isShort ? 1 : 7,
      async () => median(await prober.call<number[]>('commits', count)),
      async () => median(await prober.call<number[]>('publishes', count)),
    );
    return { 'status-path-p50': measured };
  },
};
