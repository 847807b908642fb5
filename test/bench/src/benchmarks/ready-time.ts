/** From `npm run up` with everything installed to the line that says it is ready. */
import { join } from 'node:path';
import { startDepot } from '../depot.js';
import { cpuSeconds } from '../process-figures.js';
import type { Benchmark } from '../row.js';

const REPEATS = { full: 5, short: 1 } as const;

export const readyTime: Benchmark<'ready-time'> = {
  rows: [
    {
      name: 'ready-time',
      unit: 's',
      baselineName: '-',
      wanted: 'ours < 5',
      meets: ({ ours }) => ours !== null && ours < 5,
    },
  ],
  async measure(context) {
    const ours: number[] = [];
    let cpu = '';
    for (let n = 0; n < REPEATS[context.effort]; n += 1) {
      // The stations a person gets who sets nothing.
      const env = { SIMULATED_STATIONS: '3', STANDBY_GATEWAY: 'true' };
      const depot = await startDepot(context, { dataDir: join(context.dir, `depot-${n}`), env, byNpm: true });
      ours.push(depot.readySeconds);
      const parts = [...depot.pids()].map(([name, pid]) => ({ name, seconds: cpuSeconds(pid) }));
      const sum = parts.reduce((all, { seconds }) => all + seconds, 0);
      cpu = `${sum.toFixed(1)} s: ${parts.map(({ name, seconds }) => `${name} ${seconds.toFixed(2)}`).join(', ')}`;
      await depot.stop();
    }
    return { 'ready-time': { ours, notes: [`CPU until then, without npm and the compiler: ${cpu}`] } };
  },
};
