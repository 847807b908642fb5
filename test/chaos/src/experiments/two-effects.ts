/**
 * Two workers are made to run one job: while it runs, the worker or Redis stands still for longer than the job's lock, so
 * that the other worker takes the job; then both go on. The charger's own records show what was done to it.
 */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { awaitUntil } from '@khumbu/test-support/events';
import { makeImage } from '@khumbu/test-support/firmware';
import { type Origin, startOrigin } from '@khumbu/test-support/origin';
import { UNSIGNED, withoutRepeats } from '@khumbu/test-support/statuses';
import { type Depot, type ServiceName, startDepot } from '../depot/depot.js';
import { createHandStation, type HandStation } from '../depot/hand-station.js';
import { type Experiment, type ExperimentContext, judge } from '../experiment.js';

const SENT = ['Uploading', 'Uploaded'];
const IMAGE_BYTES = 50_000;
/** How often a request is made that is answered by default. */
const TRIES = 10;

interface Scale {
  readonly stations: number;
  readonly lockMs: number;
  /** Long enough for the lock to run out and the other worker to be well under way. */
  readonly installMs: number;
  readonly rebootMs: number;
  readonly logHistoryS: number;
  readonly quietMs: number;
}
const SCALES: Readonly<Record<'short' | 'long', Scale>> = {
  short: { stations: 4, lockMs: 1000, installMs: 10_000, rebootMs: 1000, logHistoryS: 3600, quietMs: 500 },
  long: { stations: 8, lockMs: 10_000, installMs: 32_000, rebootMs: 28_000, logHistoryS: 36_000, quietMs: 3000 },
};

type Standing = 'redis' | 'worker';

interface Scene {
  readonly context: ExperimentContext;
  readonly scale: Scale;
  readonly depot: Depot;
  readonly origin: Origin;
  readonly next: () => number;
  /** Stations that nothing was done to. */
  fresh(count: number): Promise<HandStation[]>;
}

interface Work {
  readonly name: string;
  readonly workers: readonly [ServiceName, ServiceName];
  /** Ask for it; resolves with what is judged when all is over. */
  ask(scene: Scene, station: HandStation): Promise<Asked>;
}

interface Asked {
  readonly station: HandStation;
  /** Resolves when the station is being worked on. */
  underWay(deadlineMs: number): Promise<void>;
  over(deadlineMs: number): Promise<void>;
  faults(): Promise<string[]>;
}

const judgeStatuses = (station: HandStation, id: number, wanted: readonly string[]): string[] => {
  const told = withoutRepeats(station.heard(id));
  return told.join() === wanted.join() ? [] : [`${station.name} heard ${told.join(' ') || 'nothing'}`];
};

const isAccepted = (reply: unknown): boolean =>
  (reply as { upload_logs_status?: string } | undefined)?.upload_logs_status === 'Accepted' || reply === 'Accepted';

/** A busy machine answers by default now and then: it is asked again, for another request. Resolves with its id. */
async function askUntilAccepted(next: () => number, ask: (id: number) => Promise<unknown>): Promise<number> {
  const replies: unknown[] = [];
  for (let tries = 0; tries < TRIES; tries += 1) {
    const id = next();
    const reply = await ask(id);
    if (isAccepted(reply)) return id;
    replies.push(reply);
  }
  throw new Error(`never accepted, but answered ${JSON.stringify(replies)}`);
}

/** No path begins with another one. */
const pathOf = (kind: string, id: number): string => `/${kind}-${String(id).padStart(6, '0')}`;

const uploadLogs = (station: HandStation, id: number, location: string): Promise<unknown> =>
  station.client
    .request('upload_logs', { request_id: id, type: 'DiagnosticsLog', location })
    .then(({ reply }) => reply);

const update: Work = {
  name: 'an update',
  workers: ['ota-worker-1', 'ota-worker-2'],
  async ask({ depot, origin, next }, station) {
    const id = await askUntilAccepted(next, (wanted) => {
      const { bytes } = makeImage(IMAGE_BYTES, `two-effects ${wanted}`);
      return station.update(wanted, { location: origin.serve(pathOf('image', wanted), bytes) });
    });
    return {
      station,
      underWay: (ms) => station.awaitHeard(id, 'Installing', ms),
      over: (ms) => station.awaitHeard(id, 'Installed', ms),
      async faults() {
        const charger = await depot.charger(station.name);
        const { installCount = 0, everestStarts = 0 } = charger ?? {};
        return [
          ...judgeStatuses(station, id, UNSIGNED),
          ...(installCount === 1 ? [] : [`${station.name} was installed ${installCount} times`]),
          ...(everestStarts === 2 ? [] : [`EVerest of ${station.name} was started ${everestStarts} times`]),
        ];
      },
    };
  },
};

const reset: Work = {
  name: 'a reset',
  workers: ['system-control-1', 'system-control-2'],
  async ask({ depot }, station) {
    await station.client.publishRaw('reset', '{"scheduled":false,"type":"Hard"}');
    const operations = async (): Promise<unknown[]> =>
      ((await depot.get(`/stations/${station.name}`)) as { operations: unknown[] }).operations;
    return {
      station,
      async underWay(ms) {
        const isRebooting = async () => (await depot.charger(station.name))?.effect?.step === 'reboot';
        await awaitUntil(isRebooting, ms, `${station.name} to reboot`);
      },
      over: async (ms) => void (await awaitUntil(async () => (await operations()).length === 0, ms, 'the end')),
      async faults() {
        const starts = (await depot.charger(station.name))?.everestStarts;
        return starts === 2 ? [] : [`EVerest of ${station.name} was started ${starts} times`];
      },
    };
  },
};

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

const toBucket: Work = {
  name: 'an upload to the object store',
  workers: ['log-worker-1', 'log-worker-2'],
  async ask({ depot, next }, station) {
    const id = await askUntilAccepted(next, (wanted) =>
      uploadLogs(station, wanted, `s3://${depot.s3.bucket}/logs/${station.name}/two-effects/${wanted}/`),
    );
    return {
      station,
      underWay: (ms) => station.awaitHeard(id, 'Uploading', ms),
      over: (ms) => station.awaitHeard(id, 'Uploaded', ms),
      async faults() {
        const objects = (await filesBelow(depot.folders.s3)).filter((path) => path.includes(`/two-effects/${id}/`));
        const names = new Set(objects.map((path) => path.replace(/\._S3rver_\w+(\.\w+)?$/, '')));
        const stored = names.size === 1 ? [] : [`${names.size} archives are stored for ${station.name}`];
        return [...judgeStatuses(station, id, SENT), ...stored];
      },
    };
  },
};

const toServer: Work = {
  name: 'an upload to a server',
  workers: ['log-worker-1', 'log-worker-2'],
  async ask({ origin, next }, station) {
    const id = await askUntilAccepted(next, (wanted) =>
      uploadLogs(station, wanted, origin.receive(pathOf('logs', wanted))),
    );
    const path = pathOf('logs', id);
    return {
      station,
      underWay: (ms) => station.awaitHeard(id, 'Uploading', ms),
      over: (ms) => station.awaitHeard(id, 'Uploaded', ms),
      async faults() {
        const taken = origin.uploads.items.filter((upload) => upload.path.startsWith(path) && upload.status < 300);
        const bad = taken.filter(({ body }) => gunzipSync(body).length === 0);
        const different = new Set(taken.map(({ body }) => body.toString('base64'))).size;
        return [
          ...judgeStatuses(station, id, SENT),
          ...(different === 1 ? [] : [`${different} different archives came from ${station.name}`]),
          ...bad.map(() => `an empty archive came from ${station.name}`),
        ];
      },
    };
  },
};

/** How many jobs of this kind both workers say that they have begun. */
function begunTwice(scene: Scene, workers: readonly ServiceName[]): number {
  const begun = workers.map((name) => {
    const output = scene.depot.process(name).output();
    const lines = output.split('\n').filter((line) => /(install|reset|upload) started/.test(line));
    return new Set(lines.map((line) => /"operationId":"([^"]+)"/.exec(line)?.[1]));
  });
  return [...(begun[0] ?? [])].filter((id) => begun[1]?.has(id)).length;
}

async function standStill(scene: Scene, work: Work, standing: Standing, stillMs: number): Promise<void> {
  const { depot, context } = scene;
  const who = standing === 'redis' ? 'redis' : context.random.pick(work.workers);
  const victim = depot.process(who);
  victim.freeze();
  await delay(stillMs);
  victim.thaw();
}

interface Trial {
  readonly work: Work;
  readonly standing: Standing;
  /** At the moment the work is under way, or at any instant from the request on. */
  readonly when: 'under way' | 'any instant';
}

async function tryTrial(scene: Scene, { work, standing, when }: Trial): Promise<number> {
  const { context, scale } = scene;
  const stations = await scene.fresh(scale.stations);
  const deadline = 4 * (scale.installMs + scale.rebootMs) + 20_000;
  const asked = await Promise.all(stations.map((station) => work.ask(scene, station)));
  if (when === 'under way') await Promise.all(asked.map((one) => one.underWay(deadline)));
  else await delay(context.random.between(0, scale.installMs));
  const stillMs = context.random.between(1.4 * scale.lockMs, 2.4 * scale.lockMs);
  await standStill(scene, work, standing, Math.round(stillMs));
  const faults: string[] = [];
  for (const one of await Promise.allSettled(asked.map((each) => each.over(deadline)))) {
    if (one.status === 'rejected') faults.push(String(one.reason));
  }
  await delay(scale.quietMs);
  for (const one of asked) faults.push(...(await one.faults()));
  const twice = begunTwice(scene, work.workers);
  const what = `${stations.length} times ${work.name}, ${standing} frozen ${(stillMs / 1000).toFixed(1)} s at ${when}`;
  judge(context, what, faults);
  return twice;
}

async function openScene(context: ExperimentContext): Promise<Scene> {
  const scale = SCALES[context.effort];
  const depot = await startDepot(context, {
    dir: context.dir,
    services: [
      'gateway-1',
      'gateway-2',
      'ota-worker-1',
      'ota-worker-2',
      'log-worker-1',
      'log-worker-2',
      'system-control-1',
      'system-control-2',
    ],
    env: { JOB_LOCK_MS: String(scale.lockMs), LOG_UPLOAD_RETRY_INTERVAL_S: '1' },
    simulated: {
      install_ms: scale.installMs,
      reboot_ms: scale.rebootMs,
      log_interval_ms: 100,
      log_history_s: scale.logHistoryS,
    },
  });
  const origin = await startOrigin();
  context.teardown(() => origin.close());
  let requests = 0;
  let stations = 0;
  return {
    context,
    scale,
    depot,
    origin,
    next: () => (requests += 1),
    fresh: (count) =>
      Promise.all(
        Array.from({ length: count }, async () => {
          stations += 1;
          const station = createHandStation(context, depot, `station-${stations}`);
          await station.arrive();
          station.beatOn();
          station.allowAlways('Downloaded');
          await station.client.request('get_boot_reason');
          return station;
        }),
      ),
  };
}

const both = (work: Work, when: Trial['when'] = 'under way'): Trial[] => [
  { work, standing: 'worker', when },
  { work, standing: 'redis', when },
];
const SHORT: readonly Trial[] = [...both(update)];
const LONG: readonly Trial[] = [
  ...both(update),
  ...both(update, 'any instant'),
  ...both(reset),
  ...both(toBucket),
  ...both(toServer),
  ...both(update, 'any instant'),
];

const ROUNDS = 4;

export const twoEffects: Experiment = {
  name: 'two-effects',
  promise:
    'Two workers made to run one job by a frozen worker or a frozen Redis install once, reset once, upload once.',
  async run(context) {
    const scene = await openScene(context);
    const trials = context.cases === undefined && context.effort === 'short' ? SHORT : LONG;
    let twice = 0;
    // Whether the other worker is quick enough to take the job is not in our hands: a round without that is no try.
    for (let round = 0; round < ROUNDS && twice === 0; round += 1) {
      for (const trial of trials.slice(0, context.cases)) twice += await tryTrial(scene, trial);
    }
    context.figure('jobs that two workers ran', String(twice));
    if (twice === 0) context.broke('the experiment', 'no job was run by two workers: nothing was tried');
  },
};
