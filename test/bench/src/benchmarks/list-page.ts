/** How long the first page of a large depot's stations and operations takes over HTTP, warm and right behind a start. */
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { type Depot, startDepot } from '@khumbu/chaos/depot/depot';
import { createStore } from '@khumbu/operations/kinds/store';
import { acceptedOperation, doneOperation } from '../load/operations.js';
import type { BenchContext, Benchmark } from '../row.js';
import { stationNames } from '../stage.js';
import { quantile } from '../statistics.js';

const STATIONS = { full: 1000, short: 20 } as const;
const OPERATIONS = { full: 100_000, short: 500 } as const;
const READS = { full: 200, short: 5 } as const;
const ROUNDS = { full: 5, short: 1 } as const;
const STARTS = { full: 5, short: 1 } as const;
/** Operations stored in one commit, and commits under way at once. */
const A_COMMIT = 100;
const AT_ONCE = 4;
const GROUP = 'charger';
/** After a 503: what was asked could not be done in time. */
const ASK_AGAIN_MS = 1000;
const DAY_MS = 24 * 3600_000;

const query = (path: string, parameters: Record<string, string>): string =>
  `${path}?${new URLSearchParams(parameters).toString()}`;
const PATHS = [
  '/v1/stations',
  query('/v1/stations', { filter: 'label.site = north and version < 2.1', total: 'true' }),
  query('/v1/stations', { sort: '-lastSeenAt' }),
  '/v1/operations',
  query('/v1/operations', { total: 'true' }),
  query('/v1/operations', { filter: 'kind = configure_network and ok = true and label.site = north', total: 'true' }),
  query('/v1/operations', { filter: `station ~ "${GROUP}-1*"`, sort: '-createdAt' }),
];
const FIRST = '/v1/operations?total=true';

/** As gateways leave it behind some months of work. */
async function fill({ redis }: Depot, stations: readonly string[], operations: number): Promise<void> {
  const store = createStore(redis, 'khumbu');
  const now = Date.now();
  for (const [n, station] of stations.entries()) {
    await redis.sadd(store.keys.stations, station);
    const heard = String(now - n * 1000);
    const told = { bootId: 'boot', bootSeenAt: now, at: now, steadyAt: 0, bootEpoch: 0, version: `2.${n % 3}.0` };
    await redis.hset(store.keys.station(station), {
      firstSeenAt: String(now - DAY_MS),
      lastSeenAt: heard,
      observed: JSON.stringify(told),
      ownLabels: JSON.stringify({ site: n % 2 === 0 ? 'north' : 'south' }),
    });
  }
  const commit = async (from: number): Promise<void> => {
    const transaction = store.transaction();
    for (let n = from; n < Math.min(operations, from + A_COMMIT); n += 1)
      transaction.put(doneOperation(acceptedOperation(stations[n % stations.length] ?? '', n)).record);
    await store.commit(transaction);
  };
  const begins = Array.from({ length: Math.ceil(operations / A_COMMIT) }, (_none, n) => n * A_COMMIT);
  for (let at = 0; at < begins.length; at += AT_ONCE) await Promise.all(begins.slice(at, at + AT_ONCE).map(commit));
}

/** Milliseconds until the last byte, with all that was asked again. Rejects for any answer but 200 in the end, and for a page without items. */
function read(agent: Agent, depot: Depot, path: string, began = performance.now()): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${depot.apiKey}` };
    get(`${depot.httpUrls[0]}${path}`, { agent, headers }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.once('error', reject);
      response.once('end', () => {
        const ms = performance.now() - began;
        const text = Buffer.concat(pieces).toString();
        const isPage = response.statusCode === 200 && !text.includes('"items":[]');
        if (isPage) resolve(ms);
        else if (response.statusCode === 503)
          setTimeout(() => void read(agent, depot, path, began).then(resolve, reject), ASK_AGAIN_MS);
        else reject(new Error(`${path}: ${response.statusCode} ${text.slice(0, 200)}`));
      });
    }).once('error', reject);
  });
}

async function stage(context: BenchContext): Promise<Depot> {
  const { dir, effort } = context;
  const depot = await startDepot(context, {
    dir: join(dir, 'depot'),
    services: ['gateway-1'],
    proxies: false,
    env: { KEEP_OPERATIONS_PER_STATION: '100000', RATE_LIMIT_PER_MINUTE: '1000000' },
  });
  await fill(depot, stationNames(STATIONS[effort], GROUP), OPERATIONS[effort]);
  return depot;
}

const bound = {
  wanted: 'ours < 50',
  meets: ({ ours }: { readonly ours: number | null }): boolean => ours !== null && ours < 50,
};

export const listPage: Benchmark<'list-page' | 'list-page-first'> = {
  rows: [
    { name: 'list-page', unit: 'ms', baselineName: '-', ...bound },
    { name: 'list-page-first', unit: 'ms', baselineName: '-', ...bound },
  ],
  async measure(context) {
    const { effort } = context;
    const depot = await stage(context);
    const gateway = depot.process('gateway-1');
    const first: number[] = [];
    for (let n = 0; n < STARTS[effort]; n += 1) {
      await gateway.stop();
      await gateway.start();
      const once = new Agent();
      first.push(await read(once, depot, FIRST));
      once.destroy();
    }
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    context.teardown(() => agent.destroy());
    const worst: number[] = [];
    const curve = new Map<string, number[]>(PATHS.map((path) => [path, []]));
    // The round before the first warms the code up.
    for (let round = 0; round <= ROUNDS[effort]; round += 1) {
      const figures: number[] = [];
      for (const path of PATHS) {
        const took: number[] = [];
        for (let n = 0; n < READS[effort]; n += 1) took.push(await read(agent, depot, path));
        const p99 = quantile(took, 0.99);
        figures.push(p99);
        if (round > 0) curve.get(path)?.push(p99);
      }
      if (round > 0) worst.push(Math.max(...figures));
    }
    const notes = [...curve].map(([path, p99s]) => `p99 of ${path}: ${quantile(p99s, 0.5).toFixed(1)} ms`);
    return {
      'list-page': {
        ours: worst,
        notes: [`${STATIONS[effort]} stations, ${OPERATIONS[effort]} operations; the slowest of:`, ...notes],
      },
      'list-page-first': { ours: first, notes: ['operations with their total, as soon as a gateway says it is ready'] },
    };
  },
};
