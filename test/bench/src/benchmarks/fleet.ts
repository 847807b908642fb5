/** Many stations ask for one image: how long until all have it installed, and how often it is fetched. */
import { join } from 'node:path';
import type { Cleanup } from '@khumbu/chaos/depot/cleanup';
import { connectAsync } from 'mqtt';
import { type Depot, startDepot } from '../depot.js';
import { type FirmwareOrigin, startFirmwareOrigin } from '../firmware-origin.js';
import type { BenchContext, Benchmark, Measured } from '../row.js';
import { awaitKnown } from '../station-client.js';

const SIZE = { full: 50_000_000, short: 2_000_000 } as const;
const STATIONS = { full: 200, short: 5 } as const;
const REPEATS = { full: 3, short: 1 } as const;
/** More points of the curve, once each. */
const CURVE = [10, 50, 1000];
const WAVE_MS = 240_000;
const ASK_AT_ONCE = 16;
const STATUSES = 'everest_api/1/system/+/m2e/firmware_update_status';

const names = (count: number): string[] => Array.from({ length: count }, (_, index) => `charger_${index + 1}`);

interface Wave {
  readonly seconds: number;
  /** Bytes that left the origin, over the size of the image. */
  readonly fetched: number;
}

interface Fleet {
  /** Ask for an update of the first `count` stations; resolves when EVerest of each has received `Installed`. */
  update(count: number): Promise<Wave>;
}

/** Resolves when each of these stations has received `Installing` and then `Installed`. */
async function watchInstalls(
  depot: Depot,
  stations: readonly string[],
): Promise<{ all: Promise<number>; end(): void }> {
  const mqtt = await connectAsync(depot.endpoints.mqttUrl, { protocolVersion: 5, reconnectPeriod: 0 });
  const waiting = new Set(stations);
  const installing = new Set<string>();
  const all = new Promise<number>((resolve, reject) => {
    const late = (): void => reject(new Error(`${waiting.size} of ${stations.length} stations are not Installed`));
    const timer = setTimeout(late, WAVE_MS);
    mqtt.on('close', () => clearTimeout(timer));
    mqtt.on('message', (topic, payload) => {
      const station = topic.split('/')[3] ?? '';
      const { firmware_update_status: status } = JSON.parse(payload.toString()) as { firmware_update_status: string };
      if (status === 'Installing') installing.add(station);
      else if (status === 'Installed' && installing.has(station)) waiting.delete(station);
      else if (/Failed|Invalid/.test(status)) reject(new Error(`${station}: ${status}`));
      if (waiting.size === 0) resolve(performance.now());
    });
  });
  all.catch(() => undefined);
  await mqtt.subscribeAsync(STATUSES, { qos: 0 });
  return { all, end: () => void mqtt.end(true) };
}

async function startFleet(cleanup: Cleanup, dataDir: string, origin: FirmwareOrigin, size: number): Promise<Fleet> {
  const depot = await startDepot(cleanup, {
    dataDir,
    simulated: { install_ms: 0, reboot: false },
    env: { SIMULATED_STATIONS: String(size), RATE_LIMIT_PER_MINUTE: '1000000' },
  });
  for (const station of names(size)) await awaitKnown(depot, station);
  return {
    async update(count) {
      const stations = names(count);
      const watch = await watchInstalls(depot, stations);
      const location = origin.location();
      const before = await origin.sentBytes();
      const startedAt = performance.now();
      const left = [...stations];
      const ask = async (): Promise<void> => {
        for (let station = left.shift(); station !== undefined; station = left.shift()) {
          await depot.post(`/stations/${station}/firmware-updates`, { location, ...origin.signed });
        }
      };
      try {
        await Promise.all(Array.from({ length: ASK_AT_ONCE }, ask));
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
