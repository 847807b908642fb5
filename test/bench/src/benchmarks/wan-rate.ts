/** Two workers bring several images over a link with a rate limit: how much comes, and does each download get its share? */
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { startDepot } from '@khumbu/chaos/depot/depot';
import { awaitUntil } from '@khumbu/test-support/events';
import { startFirmwareOrigin } from '../firmware-origin.js';
import { askForUpdates, chargerNames } from '../installs.js';
import { openLine } from '../paced-line.js';
import type { BenchContext, Benchmark } from '../row.js';
import { fetchesOf, postTo, startStations, WORKERS } from '../several-workers.js';

const RATE = { full: 8_000_000, short: 4_000_000 } as const;
const DOWNLOADS = { full: 6, short: 2 } as const;
/** What is counted, after a while in which the buffers of the kernel have filled. */
const WINDOW_S = { full: 30, short: 8 } as const;
const SETTLE_S = { full: 5, short: 2 } as const;
const WINDOWS = { full: 3, short: 1 } as const;
const PATIENCE_MS = 60_000;

/** What the buffers of the kernel and of a worker hold of one download, and more. */
const BUFFERED = 20_000_000;

/** Enough for all windows, twice that, and for what the first of them brings alone until the last one has begun. */
function sizeFor(effort: BenchContext['effort']): number {
  const seconds = SETTLE_S[effort] + WINDOWS[effort] * WINDOW_S[effort];
  const alone = (RATE[effort] * PATIENCE_MS) / 1000;
  return Math.ceil((2 * RATE[effort] * seconds) / DOWNLOADS[effort]) + alone + BUFFERED;
}

interface CountedLine {
  readonly port: number;
  /** Bytes that came from the origin so far. */
  readonly received: () => number;
}

async function countedLine(context: BenchContext, serverPort: number): Promise<CountedLine> {
  let received = 0;
  const port = await openLine(
    context,
    () => serverPort,
    (server, client) => {
      server.on('data', (piece: Buffer) => {
        received += piece.length;
      });
      return pipeline(server, client);
    },
  );
  return { port, received: () => received };
}

export const wanRate: Benchmark<'wan-rate' | 'wan-rate-fair'> = {
  rows: [
    {
      name: 'wan-rate',
      unit: 'x',
      baselineName: 'WAN_RATE_LIMIT_BYTES_PER_S',
      wanted: '0.95 to 1.05',
      meets: ({ ours }) => ours !== null && ours >= 0.95 && ours <= 1.05,
    },
    {
      name: 'wan-rate-fair',
      unit: 'x',
      baselineName: '-',
      wanted: 'ours >= 0.9',
      meets: ({ ours }) => ours !== null && ours >= 0.9,
    },
  ],
  async measure(context) {
    const { dir, effort } = context;
    const [rate, count] = [RATE[effort], DOWNLOADS[effort]];
    const origin = await startFirmwareOrigin(context, dir, sizeFor(effort));
    const originUrl = new URL(origin.differentLocation());
    const lines: CountedLine[] = [];
    for (let n = 0; n < count; n += 1) lines.push(await countedLine(context, Number(originUrl.port)));
    const depot = await startDepot(context, {
      dir: join(dir, 'depot'),
      services: ['gateway-1', ...WORKERS],
      simulated: { install_ms: 0, reboot: false },
      stations: Object.fromEntries(chargerNames(count).map((name) => [name, { dialect: 'ocpp2.x' } as const])),
      proxies: false,
      env: { WAN_RATE_LIMIT_BYTES_PER_S: String(rate), FETCHES_AT_ONCE: String(count / WORKERS.length) },
    });
    await depot.leader();
    await startStations(context, depot, count);
    const left = lines.map(({ port }) => {
      const { pathname } = new URL(origin.differentLocation());
      return `http://127.0.0.1:${port}${pathname}`;
    });
    await askForUpdates(
      (path, body) => postTo(depot, path, body),
      chargerNames(count),
      () => ({ location: left.pop() }),
    );
    const isSpread = (): boolean => WORKERS.every((worker) => fetchesOf(depot, worker) === count / WORKERS.length);
    await awaitUntil(isSpread, PATIENCE_MS, 'both workers to have half of the downloads');
    await pause(SETTLE_S[effort] * 1000);
    const total: number[] = [];
    const fair: number[] = [];
    const notes: string[] = [];
    for (let window = 0; window < WINDOWS[effort]; window += 1) {
      const before = lines.map(({ received }) => received());
      const startedAt = performance.now();
      await pause(WINDOW_S[effort] * 1000);
      const seconds = (performance.now() - startedAt) / 1000;
      const came = lines.map(({ received }, n) => received() - (before[n] ?? 0));
      total.push(came.reduce((sum, bytes) => sum + bytes, 0) / seconds / rate);
      fair.push(Math.min(...came) / Math.max(...came));
      notes.push(`MB of each download in ${seconds.toFixed(1)} s: ${came.map((b) => (b / 1e6).toFixed(1)).join(', ')}`);
    }
    if (!isSpread()) throw new Error('downloads have ended, or gone to another worker, while they were measured');
    return { 'wan-rate': { ours: total, baseline: [1], notes }, 'wan-rate-fair': { ours: fair } };
  },
};
