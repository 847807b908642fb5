/** How much memory an ota-worker takes while many different images arrive at once. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Depot, startDepot } from '../depot.js';
import { type FirmwareOrigin, startFirmwareOrigin } from '../firmware-origin.js';
import { askForUpdates, chargerNames, watchFleet } from '../installs.js';
import { forgetPeak, MB, peakRssBytes, rssBytes } from '../process-figures.js';
import type { Benchmark } from '../row.js';
import { awaitKnown } from '../station-client.js';

const IMAGES = { full: 20, short: 4 } as const;
const SIZE = { full: 200_000_000, short: 2_000_000 } as const;
const ROUNDS = { full: 3, short: 1 } as const;
/** As many at once as there are images: else they would come one after the other. */
const env = (images: number, stations: number): Record<string, string> => ({
  SIMULATED_STATIONS: String(stations),
  FETCHES_AT_ONCE: String(images),
  RATE_LIMIT_PER_MINUTE: '1000000',
});

interface Wave {
  readonly seconds: number;
  /** MB that the ota-worker had at most, beyond what it had before its first image. */
  readonly growth: number;
}

/** The images are gone afterwards. */
async function bringAll(
  depot: Depot,
  origin: FirmwareOrigin,
  stations: readonly string[],
  idle: number,
): Promise<Wave> {
  const worker = depot.pidOf('ota-worker-1');
  const watch = await watchFleet(depot.endpoints.mqttUrl, stations, ['Downloaded']);
  const before = await origin.sentBytes();
  forgetPeak(worker);
  const startedAt = performance.now();
  try {
    await askForUpdates(
      (path, body) => depot.post(path, body),
      stations,
      () => ({ location: origin.differentLocation() }),
    );
    const seconds = ((await watch.all) - startedAt) / 1000;
    const growth = (peakRssBytes(worker) - idle) / MB;
    const sent = (await origin.sentBytes()) - before;
    if (sent < stations.length * origin.sizeBytes) throw new Error('some of the images were the same');
    return { seconds, growth };
  } finally {
    watch.end();
    rmSync(join(depot.spool, 'images'), { recursive: true });
  }
}

export const imagesRss: Benchmark<'images-20-rss'> = {
  rows: [
    {
      name: 'images-20-rss',
      unit: 'MB',
      baselineName: '-',
      wanted: 'ours < 80',
      meets: ({ ours }) => ours !== null && ours < 80,
    },
  ],
  async measure(context) {
    const { dir, effort } = context;
    const count = IMAGES[effort];
    const origin = await startFirmwareOrigin(context, dir, SIZE[effort]);
    const depot = await startDepot(context, {
      dataDir: join(dir, 'depot'),
      simulated: { install_ms: 0, reboot: false },
      env: env(count, count * ROUNDS[effort]),
    });
    const rounds = Array.from({ length: ROUNDS[effort] }, (_, n) => chargerNames(count, n * count + 1));
    for (const station of rounds.flat()) await awaitKnown(depot, station);
    const idle = rssBytes(depot.pidOf('ota-worker-1'));
    const waves: Wave[] = [];
    // Others each time: nothing of theirs is under way.
    for (const stations of rounds) waves.push(await bringAll(depot, origin, stations, idle));
    const seconds = waves.map((wave) => wave.seconds.toFixed(1)).join(', ');
    const notes = [
      `${count} images of ${SIZE[effort] / MB} MB, all Downloaded after ${seconds} s; idle ${(idle / MB).toFixed(0)} MB`,
    ];
    return { 'images-20-rss': { ours: waves.map(({ growth }) => growth), notes } };
  },
};
