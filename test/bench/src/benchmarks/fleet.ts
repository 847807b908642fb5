/** Many stations ask for one image: how long until all have it installed, and how often it is fetched. */
import { join } from 'node:path';
import type { Cleanup } from '@khumbu/chaos/depot/cleanup';
import { startDepot } from '../depot.js';
import { type FirmwareOrigin, startFirmwareOrigin } from '../firmware-origin.js';
import { askForUpdates, chargerNames, INSTALLED, watchFleet } from '../installs.js';
import type { BenchContext, Benchmark, Measured } from '../row.js';
import { awaitKnown } from '../station-client.js';

const SIZE = { full: 50_000_000, short: 2_000_000 } as const;
const STATIONS = { full: 200, short: 5 } as const;
const REPEATS = { full: 3, short: 1 } as const;
/** More points of the curve, once each. */
const CURVE = [10, 50, 1000];

interface Wave {
  readonly seconds: number;
  /** Bytes that left the origin, over the size of the image. */
  readonly fetched: number;
}

interface Fleet {
  /** Ask for an update of the first `count` stations; resolves when EVerest of each has received `Installed`. */
  update(count: number): Promise<Wave>;
}

async function startFleet(cleanup: Cleanup, dataDir: string, origin: FirmwareOrigin, size: number): Promise<Fleet> {
  const depot = await startDepot(cleanup, {
    dataDir,
    simulated: { install_ms: 0, reboot: false },
    env: { SIMULATED_STATIONS: String(size), RATE_LIMIT_PER_MINUTE: '1000000' },
  });
  for (const station of chargerNames(size)) await awaitKnown(depot, station);
  return {
    async update(count) {
      const stations = chargerNames(count);
      const watch = await watchFleet(depot.endpoints.mqttUrl, stations, INSTALLED);
      const location = origin.location();
      const before = await origin.sentBytes();
      const startedAt = performance.now();
      try {
        await askForUpdates(
          (path, body) => depot.post(path, body),
          stations,
          () => ({ location, ...origin.signed }),
        );
        const endedAt = await watch.all;
        const fetched = ((await origin.sentBytes()) - before) / origin.sizeBytes;
        return { seconds: (endedAt - startedAt) / 1000, fetched };
      } finally {
        watch.end();
      }
    },
  };
}

/** A depot of its own for each number of stations, because their heartbeats are a load too. */
async function curve(context: BenchContext, origin: FirmwareOrigin): Promise<string[]> {
  const notes: string[] = [];
  for (const stations of CURVE) {
    const cleaners: (() => unknown)[] = [];
    const cleanup = { teardown: (clean: () => unknown) => void cleaners.push(clean) };
    context.teardown(() => Promise.all(cleaners.map((clean) => clean())));
    try {
      const fleet = await startFleet(cleanup, join(context.dir, `depot-${stations}`), origin, stations);
      const { seconds, fetched } = await fleet.update(stations);
      notes.push(`${stations} stations: ${seconds.toFixed(2)} s, fetched ${fetched.toFixed(2)} times`);
    } catch (error) {
      notes.push(`${stations} stations: not measured: ${error instanceof Error ? error.message : String(error)}`);
    }
    for (const clean of cleaners.splice(0)) await clean();
  }
  return notes;
}

export const fleet: Benchmark<'fetch-once' | 'fleet-installed'> = {
  rows: [
    {
      name: 'fetch-once',
      unit: 'x',
      baselineName: 'every station fetches for itself',
      wanted: 'ours <= 1.01',
      meets: ({ ours }) => ours !== null && ours <= 1.01,
    },
    {
      name: 'fleet-installed',
      unit: 's',
      baselineName: 'one station',
      wanted: 'reported',
      meets: ({ ours }) => ours !== null,
    },
  ],
  async measure(context) {
    const { dir, effort } = context;
    const count = STATIONS[effort];
    const origin = await startFirmwareOrigin(context, dir, SIZE[effort]);
    const depot = await startFleet(context, join(dir, 'depot'), origin, count);
    const all: Wave[] = [];
    const single: Wave[] = [];
    await depot.update(1);
    for (let n = 0; n < REPEATS[effort]; n += 1) {
      single.push(await depot.update(1));
      all.push(await depot.update(count));
    }
    const installed: Measured = {
      ours: all.map((wave) => wave.seconds),
      baseline: single.map((wave) => wave.seconds),
      notes: effort === 'full' ? await curve(context, origin) : [],
    };
    const fetched = { ours: all.map((wave) => wave.fetched), baseline: [count] };
    return { 'fetch-once': fetched, 'fleet-installed': installed };
  },
};
