/** Many operations: Redis holds what the retention says and nothing else, and no process grows. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { keysFor } from '@khumbu/operations/records/keys';
import { trimEnded } from '@khumbu/operations/records/retention';
import { awaitUntil } from '@khumbu/test-support/events';
import { type Depot, startDepot } from '../depot/depot.js';
import { type Experiment, type ExperimentContext, judge } from '../experiment.js';
import { median, type Reading, read, redisBytes } from '../memory/gauge.js';
import { auditKeys } from '../memory/key-audit.js';
import { connectManyStations } from '../memory/many-stations.js';
import { pickTask, type Scene } from '../memory/mix.js';
import { startServers } from '../memory/servers.js';

const KEPT = { short: 5, long: 50 } as const;
const OPERATIONS = { short: 600, long: 100_000 } as const;
const STATIONS = { short: 20, long: 100 } as const;
const READ_EVERY_MS = 2000;
const SETTLE_MS = 180_000;
const SWEPT_MS = 90_000;
/** The last states of each station that stay on disk. */
const CHARGER_STATES = 8;
/** How much more the last fifth may take than the fifth in the middle: V8 frees when it likes. */
const GROWTH = { ratio: 1.1, bytes: 12 * 1024 * 1024 } as const;
const MORE_FILES = 12;
/** Redis at rest after all of it, compared with Redis at rest after half of it. */
const REDIS_GROWTH = 1.05;

async function lastReset({ redis }: Depot, station: string): Promise<{ id: string | null; over: boolean }> {
  const keys = keysFor('khumbu');
  const id = await redis.hget(keys.station(station), 'slot:reset');
  return { id, over: id === null || (await redis.zscore(keys.open, id)) === null };
}

/** Nothing is under way any more. */
async function rest({ redis }: Depot): Promise<void> {
  const keys = keysFor('khumbu');
  const busy = async (): Promise<number> => {
    const open = await redis.zcard(keys.open);
    const told = await redis.scard(keys.outboxes);
    const { length: jobs } = await redis.keys(`${keys.jobs}:*:active`);
    return open + told + jobs;
  };
  await awaitUntil(async () => (await busy()) === 0, SETTLE_MS, 'everything to come to its end');
}

/** As if an hour without requests had passed: what expires is gone, and streams with a cap hold as much at each look. */
async function letTimePass({ redis }: Depot): Promise<void> {
  let cursor = '0';
  do {
    const [next, page] = await redis.scan(cursor, 'COUNT', 1000);
    cursor = next;
    for (const key of page.filter((name) => EXPIRING.test(name))) {
      if ((await redis.pttl(key)) > 0) await redis.del(key);
    }
    for (const key of page.filter((name) => name.endsWith('events'))) await redis.xtrim(key, 'MAXLEN', STREAM_KEPT);
  } while (cursor !== '0');
}

const EXPIRING = /^khumbu:(?:answer|progress|rest-answer|record:firmware-fetch-)/;
const STREAM_KEPT = 100;

const DEFAULTS: readonly string[] = [false, 'Rejected', { upload_logs_status: 'Rejected' }].map(
  (reply) => `answered ${JSON.stringify(reply)}`,
);
/** More of them mean that the run has not tried what it says. */
const MOST_DEFAULTS = 0.05;

const MIB = 1024 * 1024;
const kib = (bytes: number): string => `${(bytes / 1024).toFixed(0)} KiB`;
const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;

/** The list of kept archives may take so much for each of them. */
const BYTES_PER_ARCHIVE = 2048;

async function bytesOf({ redis }: Depot, pattern: string): Promise<number> {
  let bytes = 0;
  for (const key of await redis.keys(pattern)) {
    const size = await redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0');
    bytes += Number(size ?? 0);
  }
  return bytes;
}

class Run {
  readonly readings: Reading[] = [];
  readonly counts: Record<string, number> = {};
  readonly wrong: string[] = [];
  done = 0;
  /** Requests that were answered by default. */
  defaults = 0;
  #id = 0;
  constructor(
    readonly context: ExperimentContext,
    readonly depot: Depot,
    readonly kept: number,
    readonly names: readonly string[],
    readonly scene: Scene,
  ) {}

  static async begin(context: ExperimentContext, depot: Depot, kept: number, count: number): Promise<Run> {
    const names = Array.from({ length: count }, (_, index) => `many-${index}`);
    const servers = await startServers(context);
    const stations = await connectManyStations(context, depot.mqttUrl);
    const scene: Scene = {
      ...servers,
      stations,
      random: context.random.fork('images'),
      nextId: () => ++run.#id,
      lastReset: (station) => lastReset(depot, station),
    };
    const run: Run = new Run(context, depot, kept, names, scene);
    return run;
  }

  /** Every station goes on by itself until so many operations are done. */
  async drive(until: number): Promise<void> {
    let begun = this.done;
    const look = setInterval(() => {
      read(this.depot, this.done).then(
        (reading) => this.readings.push(reading),
        (error: unknown) => this.wrong.push(String(error)),
      );
    }, READ_EVERY_MS);
    const one = async (station: string): Promise<void> => {
      const random = this.context.random.fork(`${station} ${begun}`);
      while (begun < until) {
        const task = pickTask(random);
        begun += task.operations;
        const wrong = await task.run(this.scene, station).catch((error: unknown) => String(error));
        // A machine that is too slow for an answer in time answers by default; that is for other experiments to judge.
        if (wrong !== undefined && DEFAULTS.includes(wrong)) {
          this.defaults += 1;
          // The short form runs beside other tests: what did not happen there is done again.
          if (this.context.effort === 'short') {
            begun -= task.operations;
            continue;
          }
        }
        if (wrong !== undefined && !DEFAULTS.includes(wrong)) {
          this.wrong.push(`${task.name} of ${station}: ${wrong}`);
          this.context.say(`${task.name} of ${station}: ${wrong}`);
        }
        this.done += task.operations;
        this.counts[task.name] = (this.counts[task.name] ?? 0) + task.operations;
      }
    };
    await Promise.all(this.names.map(one)).finally(() => clearInterval(look));
  }

  /** At rest and trimmed: the memory of Redis without what expires by itself. */
  async redisAtRest(trim: boolean): Promise<number> {
    const { depot, kept } = this;
    await rest(depot);
    const keys = keysFor('khumbu');
    if (trim) await trimEnded(depot.redis, keys, { perStation: kept, days: 30 }, Date.now());
    await awaitUntil(
      async () => {
        const counts = await Promise.all(this.names.map((name) => depot.redis.zcard(keys.endedOf(name))));
        return counts.every((count) => count <= kept);
      },
      SETTLE_MS,
      'old operations to be removed',
    );
    let audit = await auditKeys(depot.redis, { perStation: kept });
    const isClean = async (): Promise<boolean> => {
      audit = await auditKeys(depot.redis, { perStation: kept });
      return audit.faults.length === 0;
    };
    // Jobs may still be on their way. What is left in the end is judged.
    await awaitUntil(isClean, SWEPT_MS, 'a clean audit').catch(() => undefined);
    judge(this.context, `every key has an owner after ${this.done} operations`, audit.faults.slice(0, 20));
    const kinds = Object.entries(audit.counts).map(([kind, count]) => `${kind} ${count}`);
    this.context.figure(`keys after ${this.done} operations`, kinds.sort().join(', '));
    await letTimePass(depot);
    // Both are kept for months, within bounds of their own: they grow by what they are for.
    const securityLog = await bytesOf(depot, 'khumbu:security:*');
    return (await redisBytes(depot)) - securityLog - (await this.#archiveBytes());
  }

  /** What the list of kept archives takes; judged by how many archives it tells of. */
  async #archiveBytes(): Promise<number> {
    const { depot, context, done } = this;
    const bytes = await bytesOf(depot, 'khumbu:log-copies*').then(
      async (lists) => lists + (await bytesOf(depot, 'khumbu:log-copy:*')),
    );
    const archives = await depot.redis.zcard('khumbu:log-copies');
    context.figure(`kept archives after ${done} operations`, `${archives}, ${kib(bytes)} in Redis`);
    const most = archives * BYTES_PER_ARCHIVE;
    const seen = bytes > most ? [`${kib(bytes)} for ${archives}`] : [];
    judge(context, `kept archives after ${done} operations take what they should`, seen);
    return bytes;
  }
}

function judgeProcesses(run: Run): void {
  const { context, readings } = run;
  const part = (from: number, to: number): Reading[] =>
    readings.filter(({ done }) => done >= from * run.done && done < to * run.done);
  const [middle, last] = [part(0.4, 0.6), part(0.8, 1.01)];
  if (middle.length < 3 || last.length < 3) {
    context.skipped('the growth of each process', 'too few readings');
    return;
  }
  for (const name of Object.keys(last[0]?.rss ?? {})) {
    const of = (list: readonly Reading[], what: 'rss' | 'files'): number =>
      median(list.map((one) => one[what][name] ?? 0));
    const [before, after] = [of(middle, 'rss'), of(last, 'rss')];
    const grown = after > before * GROWTH.ratio && after > before + GROWTH.bytes;
    // A process that has just started grows until it is warm.
    const seen = grown ? [`${mib(before)}, then ${mib(after)}`] : [];
    if (context.effort === 'long') judge(context, `${name} does not grow`, seen);
    const [few, many] = [of(middle, 'files'), of(last, 'files')];
    judge(context, `${name} leaves no files open`, many > few + MORE_FILES ? [`${few}, then ${many}`] : []);
    context.figure(
      `${name}, medians of the fifth in the middle and of the last`,
      `${mib(before)} and ${mib(after)}, ${few} and ${many} files`,
    );
  }
}

async function judgeFolders(run: Run): Promise<void> {
  const { depot, context, names } = run;
  const faults: string[] = [];
  for (const name of names) {
    const files = await readdir(join(depot.folders.chargers, name)).catch(() => []);
    if (files.length > CHARGER_STATES) faults.push(`${name} has ${files.length} files`);
  }
  const filesOf = async (images: boolean): Promise<string[]> => {
    const spool = await readdir(depot.folders.spool, { recursive: true, withFileTypes: true });
    return (
      spool
        .filter((entry) => entry.isFile() && entry.parentPath.endsWith('images') === images)
        .map(({ name }) => name)
        // What names the spool itself.
        .filter((name) => name !== 'spool-id')
    );
  };
  // What a superseded upload left is swept once a minute.
  const isSwept = async (): Promise<boolean> => (await filesOf(false)).length === 0;
  if (context.effort === 'long') await awaitUntil(isSwept, SWEPT_MS, 'the spool to be swept').catch(() => undefined);
  const left = context.effort === 'long' ? await filesOf(false) : [];
  faults.push(...left.map((name) => `${name} was left in the spool`));
  const { length: images } = await filesOf(true);
  if (images > run.scene.images.length) faults.push(`${images} images in the spool of ${run.scene.images.length}`);
  judge(context, 'the folders of stations and the spool are bounded', faults);
}

/** The audit is worth nothing if it sees nothing. */
async function judgeAudit({ context, depot, kept }: Run): Promise<void> {
  const { redis } = depot;
  const planted = [
    'khumbu:record:log-upload-orphan',
    'khumbu:whatever',
    'khumbu-jobs:log-uploads:orphan',
    'khumbu:station:orphan',
  ];
  for (const key of planted) await redis.hset(key, 'data', '{}');
  await redis.zadd('khumbu:ended', '1', 'log-upload-gone');
  const { faults } = await auditKeys(redis, { perStation: kept });
  const unseen = [...planted, 'log-upload-gone'].filter((key) => !faults.some((fault) => fault.includes(key)));
  judge(context, 'the audit sees what was planted', unseen);
  await redis.del(...planted);
  await redis.zrem('khumbu:ended', 'log-upload-gone');
}

export const memoryAndKeys: Experiment = {
  name: 'memory-and-keys',
  promise:
    'After any number of operations Redis holds what the retention says, no key without an owner, and no process has grown; the security log and the list of kept archives grow within bounds of their own.',
  async run(context) {
    const { effort, cases } = context;
    const kept = KEPT[effort];
    const depot = await startDepot(context, {
      dir: join(context.dir, 'depot'),
      proxies: false,
      env: {
        RESET_RESERVATION_S: '1',
        DOWNLOAD_RETRY_INTERVAL_S: '0',
        LOG_LEVEL: 'warn',
        // V8 lets garbage lie for as long as there is room: with less of it, what grows is what is kept.
        NODE_OPTIONS: '--max-old-space-size=160 --max-semi-space-size=2',
        KEEP_OPERATIONS_PER_STATION: String(kept),
      },
      simulated: { install_ms: 0, reboot_ms: 0, reboot: false, log_history_s: 0 },
    });
    const operations = cases ?? OPERATIONS[effort];
    // So few that after half of it every station has more than is kept.
    const stations = Math.max(1, Math.min(STATIONS[effort], Math.floor(operations / 4 / kept)));
    const run = await Run.begin(context, depot, kept, stations);
    const began = performance.now();
    await run.drive(operations / 2);
    context.say(`half of it done after ${((performance.now() - began) / 1000).toFixed(0)} s`);
    const half = await run.redisAtRest(effort === 'short');
    await run.drive(operations);
    const seconds = (performance.now() - began) / 1000;
    const whole = await run.redisAtRest(effort === 'short');
    const counts = Object.entries(run.counts).map(([name, count]) => `${name} ${count}`);
    context.figure('operations', `${run.done} in ${seconds.toFixed(0)} s: ${counts.join(', ')}`);
    judge(context, `${run.done} operations end as they should`, run.wrong.slice(0, 20));
    context.figure('answered by default', String(run.defaults));
    const tooMany = effort === 'long' && run.defaults > MOST_DEFAULTS * run.done;
    judge(context, 'operations are more than defaults', tooMany ? [`${run.defaults} of ${run.done}`] : []);
    context.figure('Redis at rest after half of it and after all of it', `${kib(half)} and ${kib(whole)}`);
    judge(context, 'Redis does not grow', whole > half * REDIS_GROWTH ? [`${kib(half)}, then ${kib(whole)}`] : []);
    judgeProcesses(run);
    await judgeFolders(run);
    await judgeAudit(run);
  },
};
