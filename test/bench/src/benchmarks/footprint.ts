/** What the cluster costs when nothing happens, and how soon it is there. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { startDepot } from '../depot.js';
import { MB, rssBytes } from '../process-figures.js';
import type { Benchmark } from '../row.js';

const STATIONS = { full: 50, short: 5 } as const;
const DEPOTS = { full: 3, short: 1 } as const;
const IDLE_MS = { full: 20_000, short: 2000 } as const;

/** What thin-edge.io publishes of its gateway. */
const THIN_EDGE_MB = 34;

export const idleFootprint: Benchmark<'idle-footprint'> = {
  rows: [
    {
      name: 'idle-footprint',
      unit: 'MB',
      baselineName: 'gateway of thin-edge.io (published)',
      wanted: 'ours < 140',
      meets: ({ ours }) => ours !== null && ours < 140,
    },
  ],
  async measure(context) {
    const { dir, effort } = context;
    const ours: number[] = [];
    let last = '';
    for (let n = 0; n < DEPOTS[effort]; n += 1) {
      const env = { SIMULATED_STATIONS: String(STATIONS[effort]) };
      const depot = await startDepot(context, { dataDir: join(dir, `depot-${n}`), env });
      await pause(IDLE_MS[effort]);
      const sizes = [...depot.pids()].map(([name, pid]) => ({ name, mb: rssBytes(pid) / MB }));
      sizes.sort((a, b) => b.mb - a.mb);
      ours.push(sizes[0]?.mb ?? Number.NaN);
      last = sizes.map(({ name, mb }) => `${name} ${mb.toFixed(0)}`).join(', ');
      await depot.stop();
    }
    const notes = [`resident set of each process in MB, ${STATIONS[effort]} stations: ${last}`];
    return { 'idle-footprint': { ours, baseline: [THIN_EDGE_MB], notes } };
  },
};
