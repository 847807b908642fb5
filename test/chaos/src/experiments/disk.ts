/** Disks that are full, read-only or slow, and an object store that refuses or crawls. */
import { CHARGER_CASES } from '../disk/charger-cases.js';
import { LOG_CASES } from '../disk/log-cases.js';
import { REDIS_CASES } from '../disk/redis-cases.js';
import { SPOOL_CASES } from '../disk/spool-cases.js';
import { buildWorld, type DiskCase, type DiskWorld } from '../disk/world.js';
import { type Experiment, judge } from '../experiment.js';

const CASES: readonly DiskCase[] = [...SPOOL_CASES, ...LOG_CASES, ...CHARGER_CASES, ...REDIS_CASES];

/** Whatever a case left, the next one begins with healthy disks. */
async function mend({ disks, s3Faults, s3Proxy, depot }: DiskWorld): Promise<void> {
  for (const disk of Object.values(disks)) await disk.free();
  s3Faults.behaviour = 'open';
  await s3Proxy.mend();
  await depot.heal();
}

export const disk: Experiment = {
  name: 'disk',
  promise:
    'A disk that is full, read-only or slow and an object store that refuses or crawls give a clear status and reason; nothing accepted is lost, and work goes on by itself when there is room again.',
  async run(context) {
    const world = await buildWorld(context);
    if (!world) {
      for (const { name } of CASES) context.skipped(name, 'this machine lets nobody mount a file system');
      return;
    }
    for (const one of context.random.shuffled(CASES)) {
      const { name, short } = one;
      if (context.effort === 'short' && !short) continue;
      const began = performance.now();
      const faults = await one.run(world).catch((error: unknown) => [String(error)]);
      judge(context, `${name} (${((performance.now() - began) / 1000).toFixed(1)} s)`, faults);
      await mend(world);
    }
  },
};
