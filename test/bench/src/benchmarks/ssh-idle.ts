/** A hundred stations by SSH: what their open connections cost, and how soon all have testified. */
import { MB, rssBytes } from '../process-figures.js';
import type { Benchmark } from '../row.js';
import { startSshStations } from '../ssh-stations.js';

const STATIONS = { full: 100, short: 10 } as const;
const REPEATS = { full: 5, short: 1 } as const;
/** The kinds of workers that may have connections of their own to a station. */
const WORKERS = 3;

export const sshIdle: Benchmark<'ssh-idle-100' | 'ssh-observe-100'> = {
  rows: [
    {
      name: 'ssh-idle-100',
      unit: 'MB',
      baselineName: '-',
      wanted: 'ours < 40',
      meets: ({ ours }) => ours !== null && ours < 40,
    },
    {
      name: 'ssh-observe-100',
      unit: 's',
      baselineName: '-',
      wanted: 'ours < 2',
      meets: ({ ours }) => ours !== null && ours < 2,
    },
  ],
  async measure(context) {
    const { effort } = context;
    const stations = STATIONS[effort];
    const { worker } = await startSshStations(context, stations);
    // What one costs once, and not each.
    await worker.call('observe', 1);
    const before = rssBytes(worker.pid);
    const first = await worker.call<number>('observe', stations);
    const open = await worker.call<number>('open');
    if (open !== stations) throw new Error(`${open} connections are open`);
    const idle = ((rssBytes(worker.pid) - before) / MB) * WORKERS;
    const ours: number[] = [];
    for (let n = 0; n < REPEATS[effort]; n += 1) ours.push(await worker.call<number>('observe', stations));
    await worker.call('disconnect');
    const anew = await worker.call<number>('observe', stations);
    const notes = [
      `the first time, with our program put there: ${first.toFixed(2)} s; with connections opened anew: ${anew.toFixed(2)} s`,
      `memory: of one worker, times ${WORKERS}`,
    ];
    return { 'ssh-idle-100': { ours: [idle], notes }, 'ssh-observe-100': { ours } };
  },
};
