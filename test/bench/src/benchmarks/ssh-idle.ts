/** A hundred stations by SSH at rest: what they cost a depot, what open connections cost, and how soon all have testified. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { awaitUntil } from '@khumbu/test-support/events';
import { type Depot, startDepot } from '../depot.js';
import { MB, rssBytes } from '../process-figures.js';
import type { BenchContext, Benchmark } from '../row.js';
import { sshEntries, startSshStations } from '../ssh-stations.js';

const STATIONS = { full: 100, short: 10 } as const;
const REPEATS = { full: 5, short: 1 } as const;
const DEPOTS = { full: 3, short: 1 } as const;
/** After its start; below the minute after which connections at rest are closed. What a start leaves behind is collected later. */
const AGE_MS = { full: 45_000, short: 1000 } as const;
const LOOKED_AT_MS = 60_000;
/** The kinds of workers; each may have connections of its own to a station. */
const WORKERS = ['ota-worker-1', 'log-worker-1', 'system-control-1'] as const;

const sizes = (depot: Depot): readonly number[] => WORKERS.map((name) => rssBytes(depot.pidOf(name)) / MB);

/** MB of each worker of a depot of a certain age; all stations have been looked at by then, and their connections are open. */
async function sizesOfDepot(context: BenchContext, dir: string, stations: number): Promise<readonly number[]> {
  const { entries } = await sshEntries(context, join(dir, 'ssh'), stations);
  const depot = await startDepot(context, { dataDir: join(dir, 'depot') });
  try {
    const aged = pause(AGE_MS[context.effort]);
    depot.configure(Object.fromEntries(entries.map((driver, index) => [`gate-${index}`, { driver }])));
    for (const index of entries.keys()) {
      const isLookedAt = async (): Promise<boolean> => {
        const { firmware } = (await depot.get(`/stations/gate-${index}`).catch(() => ({}))) as { firmware?: object };
        return firmware !== undefined;
      };
      await awaitUntil(isLookedAt, LOOKED_AT_MS, `a look at gate-${index}`);
    }
    await aged;
    return sizes(depot);
  } finally {
    await depot.stop();
  }
}

/** MB that the stations cost each worker: beside a depot without any. */
async function costInDepot(context: BenchContext, dir: string): Promise<readonly number[]> {
  const without = await sizesOfDepot(context, join(dir, 'without'), 0);
  const having = await sizesOfDepot(context, join(dir, 'with'), STATIONS[context.effort]);
  return having.map((size, index) => size - (without[index] ?? Number.NaN));
}

const sum = (figures: readonly number[]): number => figures.reduce((all, one) => all + one, 0);
const bound = (most: number) => ({
  wanted: `ours < ${most}`,
  meets: ({ ours }: { readonly ours: number | null }) => ours !== null && ours < most,
});

export const sshIdle: Benchmark<'ssh-idle-100' | 'ssh-open-100' | 'ssh-observe-100' | 'ssh-observe-100-anew'> = {
  rows: [
    { name: 'ssh-idle-100', unit: 'MB', baselineName: '-', ...bound(40) },
    { name: 'ssh-open-100', unit: 'MB', baselineName: '-', ...bound(40) },
    { name: 'ssh-observe-100', unit: 's', baselineName: '-', ...bound(2) },
    { name: 'ssh-observe-100-anew', unit: 's', baselineName: '-', ...bound(2) },
  ],
  async measure(context) {
    const { effort, dir } = context;
    const stations = STATIONS[effort];
    const { worker } = await startSshStations(context, stations);
    // What one costs once, and not each.
    await worker.call('observe', 1);
    const before = rssBytes(worker.pid);
    const first = await worker.call<number>('observe', stations);
    const open = await worker.call<number>('open');
    if (open !== stations) throw new Error(`${open} connections are open`);
    const held = ((rssBytes(worker.pid) - before) / MB) * WORKERS.length;
    const ours: number[] = [];
    for (let n = 0; n < REPEATS[effort]; n += 1) ours.push(await worker.call<number>('observe', stations));
    const anew: number[] = [];
    for (let n = 0; n < REPEATS[effort]; n += 1) {
      await worker.call('disconnect');
      anew.push(await worker.call<number>('observe', stations));
    }
    await worker.end();

    const depots: (readonly number[])[] = [];
    for (let n = 0; n < DEPOTS[effort]; n += 1) depots.push(await costInDepot(context, join(dir, `depot-${n}`)));
    const each = depots.map((cost) => cost.map((mb) => mb.toFixed(1)).join(' + ')).join('; ');
    return {
      'ssh-idle-100': { ours: depots.map(sum), notes: [`${WORKERS.join(', ')} in MB: ${each}`] },
      'ssh-open-100': { ours: [held], notes: [`of one worker with all connections open, times ${WORKERS.length}`] },
      'ssh-observe-100': { ours, notes: [`the first time, with our program put there: ${first.toFixed(2)} s`] },
      'ssh-observe-100-anew': { ours: anew },
    };
  },
};
