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
/** Until a service has settled after its start. */
const SETTLE_MS = { full: 20_000, short: 1000 } as const;
const LOOKED_AT_MS = 60_000;
/** The kinds of workers; each may have connections of its own to a station. */
const WORKERS = ['ota-worker-1', 'log-worker-1', 'system-control-1'] as const;

const sizes = (depot: Depot): readonly number[] => WORKERS.map((name) => rssBytes(depot.pidOf(name)) / MB);

/** MB that each worker of a depot grows by, from no such station to all of them looked at, with their connections open. */
async function growthOfDepot(context: BenchContext, dir: string): Promise<readonly number[]> {
  const { effort } = context;
  const { entries } = await sshEntries(context, join(dir, 'ssh'), STATIONS[effort]);
  const depot = await startDepot(context, { dataDir: join(dir, 'depot') });
  try {
    await pause(SETTLE_MS[effort]);
    const before = sizes(depot);
    const names = entries.map((_entry, index) => `gate-${index}`);
    depot.configure(Object.fromEntries(entries.map((driver, index) => [`gate-${index}`, { driver }])));
    for (const name of names) {
      const isLookedAt = async (): Promise<boolean> => {
        const { firmware } = (await depot.get(`/stations/${name}`).catch(() => ({}))) as { firmware?: object };
        return firmware !== undefined;
      };
      await awaitUntil(isLookedAt, LOOKED_AT_MS, `a look at ${name}`);
    }
    return sizes(depot).map((size, index) => size - (before[index] ?? Number.NaN));
  } finally {
    await depot.stop();
  }
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
    for (let n = 0; n < DEPOTS[effort]; n += 1) depots.push(await growthOfDepot(context, join(dir, `depot-${n}`)));
    const each = depots.map((growth) => growth.map((mb) => mb.toFixed(1)).join(' + ')).join('; ');
    return {
      'ssh-idle-100': { ours: depots.map(sum), notes: [`${WORKERS.join(', ')} in MB: ${each}`] },
      'ssh-open-100': { ours: [held], notes: [`of one worker with all connections open, times ${WORKERS.length}`] },
      'ssh-observe-100': { ours, notes: [`the first time, with our program put there: ${first.toFixed(2)} s`] },
      'ssh-observe-100-anew': { ours: anew },
    };
  },
};
