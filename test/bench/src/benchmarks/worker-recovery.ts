/** How long a download stands still when the ota-worker that does it is killed. */
import { join } from 'node:path';
import { startDepot } from '@khumbu/chaos/depot/depot';
import { awaitUntil } from '@khumbu/test-support/events';
import { makeImage } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import type { Benchmark } from '../row.js';
import { postTo } from '../several-workers.js';

/** A worker with 30 s locks that are looked at every 30 s, as BullMQ has them by default. */
const BULLMQ_DEFAULTS_S = 59.6;
const IMAGE_BYTES = 16 * 1024 * 1024;
const BYTES_PER_S = 100 * 1024;
const BEGUN_BYTES = 256 * 1024;
const PATIENCE_MS = 60_000;

export const workerRecovery: Benchmark<'worker-recovery'> = {
  rows: [
    {
      name: 'worker-recovery',
      unit: 's',
      baselineName: 'BullMQ defaults (measured elsewhere)',
      wanted: '< 15 s',
      meets: ({ ours }) => ours !== null && ours < 15,
    },
  ],
  async measure(context) {
    const isShort = context.effort === 'short';
    const origin = await startOrigin();
    context.teardown(() => origin.close());
    const depot = await startDepot(context, {
      dir: join(context.dir, 'depot'),
      services: ['gateway-1', 'ota-worker-1', 'ota-worker-2'],
      proxies: false,
      stations: { 'station-0': {}, 'station-1': {}, 'station-2': {}, 'station-3': {}, 'station-4': {} },
      ...(isShort ? { env: { JOB_LOCK_MS: '5000' } } : {}),
    });
    const [first, second] = [depot.process('ota-worker-1'), depot.process('ota-worker-2')];
    const once = async (round: number): Promise<number> => {
      await second.stop();
      const path = `/firmware-${round}.bin`;
      const location = origin.serve(path, makeImage(IMAGE_BYTES, path).bytes, { bytesPerSecond: BYTES_PER_S });
      await postTo(depot, `/stations/station-${round}/firmware-updates`, { location });
      await origin.awaitBytes(path, BEGUN_BYTES, PATIENCE_MS);
      await second.start();
      const killedAt = performance.now();
      await first.stop('SIGKILL');
      const before = new Set(origin.requests.items);
      const resumed = await origin.requests.awaitItem(
        (request) => request.path === path && request.headers.range !== undefined && !before.has(request),
        PATIENCE_MS,
        'the download to go on',
      );
      await awaitUntil(() => resumed.bodyBytesSent > 0, PATIENCE_MS, 'the rest of the image');
      const seconds = (performance.now() - killedAt) / 1000;
      context.say(`went on after ${seconds.toFixed(1)} s`);
      await first.start();
      return seconds;
    };
    const ours: number[] = [];
    for (let round = 0; round < (isShort ? 1 : 5); round++) ours.push(await once(round));
    return { 'worker-recovery': { ours, baseline: [BULLMQ_DEFAULTS_S] } };
  },
};
