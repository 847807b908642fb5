/**
 * Requests flow while Redis fails in every way it can, while workers are away, and while the gateway that answers dies.
 * Each request must be answered in time and once and for all; a default must stay without consequences for ever, and
 * what was accepted must happen exactly once when all is back.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { QUEUE_NAMES } from '@khumbu/operations/jobs/expected-job';
import type { RequestChannelName } from '@khumbu/shared/contract/channels';
import { awaitUntil } from '@khumbu/test-support/events';
import { type EverestClient, startEverestClient } from '@khumbu/test-support/everest-client';
import { startOrigin } from '@khumbu/test-support/origin';
import { startDepot } from '../depot/depot.js';
import { type LatencyProbe, startLatencyProbe } from '../depot/latency-probe.js';
import { type Experiment, type ExperimentContext, judge } from '../experiment.js';
import { type Asked, ask, REQUEST_NAMES, type World } from '../fail-closed/asked.js';
import { OUTAGES, type Outage, REDIS_CONFIG } from '../fail-closed/outages.js';

const ANSWER_MS = 1500;
/** An answer that has not come by then is counted as none. */
const PATIENCE_MS = 4000;
const SETTLE_MS = 90_000;
/** What must not happen gets this long to happen. */
const QUIET_MS = { short: 1000, long: 3000 } as const;
const STRADDLE_MS = 400;
const WORKERS_GONE_S = 3;
const WORKERS = ['ota-worker-1', 'log-worker-1', 'system-control-1'] as const;
/** Served from records alone, workers or not. */
const WITHOUT_WORKERS: readonly RequestChannelName[] = ['get_boot_reason'];

interface Scene extends World {
  readonly context: ExperimentContext;
  readonly stations: readonly EverestClient[];
  readonly resets: EverestClient;
  readonly probe: EverestClient;
  readonly latencyProbe: LatencyProbe;
  /** How late the machine was by itself while the slowest answer was waited for. */
  readonly slowest: { ms: number; what: string; machineMs: number };
}

const answered = (asked: readonly Asked[], patienceMs = PATIENCE_MS): Promise<unknown> =>
  awaitUntil(() => asked.every((one) => one.answers().length > 0), patienceMs, 'every answer').catch(() => undefined);

const askAll = (scene: Scene): Asked[] =>
  scene.stations.flatMap((station) => REQUEST_NAMES.map((name) => ask(scene, station, name)));

/** Everybody asks everything once, each at a moment of its own. */
function askScattered(scene: Scene, spanMs: number): Promise<Asked[]> {
  const { random } = scene.context;
  const questions = scene.stations.flatMap((station) => REQUEST_NAMES.map((name) => ({ station, name })));
  return Promise.all(
    questions.map(async ({ station, name }) => {
      await delay(random.between(0, spanMs));
      return ask(scene, station, name);
    }),
  );
}

/** Some frames come a second time. */
async function repeatSome(scene: Scene, asked: readonly Asked[]): Promise<void> {
  const { random } = scene.context;
  await Promise.all(asked.filter(() => random.chance(0.2)).map((one) => one.again()));
}

async function awaitServing(scene: Scene, what: string): Promise<number> {
  const from = performance.now();
  await awaitUntil(
    async () => {
      const one = ask(scene, scene.probe, 'configure_network');
      await answered([one], 2000);
      return one.answers().length > 0 && !one.isDefault();
    },
    SETTLE_MS,
    `requests to be served again after ${what}`,
  );
  return performance.now() - from;
}

const ms = (value: number): string => `${Math.round(value)} ms`;

interface Expectation {
  /** Answers later than this are faults. */
  readonly withinMs?: number;
  /** Whether this one had to be answered by default. */
  readonly mustDefault?: (one: Asked) => boolean;
}

function answerFaults(scene: Scene, one: Asked, { withinMs, mustDefault }: Expectation): string[] {
  const name = `${one.name} ${one.requestId} of ${one.station.moduleId}`;
  const answers = one.answers();
  const first = answers[0];
  if (!first) return [`${name} was never answered`];
  const faults: string[] = [];
  if (withinMs !== undefined) {
    const machineMs = scene.latencyProbe.worst(one.sentAt, one.sentAt + first.ms);
    if (first.ms > scene.slowest.ms) Object.assign(scene.slowest, { ms: first.ms, what: name, machineMs });
    // The short form runs beside other tests: times there say nothing.
    if (scene.context.effort === 'long' && first.ms > withinMs)
      faults.push(`${name} was answered after ${ms(first.ms)}; the machine itself was ${ms(machineMs)} late`);
  }
  if (new Set(answers.map(({ text }) => text)).size > 1) {
    faults.push(`${name} got different answers: ${answers.map(({ text }) => text).join(' ')}`);
  }
  if (mustDefault?.(one) && !one.isDefault()) faults.push(`${name} was answered ${first.text}, not by default`);
  return faults;
}

/** What came of all of them, once everything has had the time to happen. */
async function outcomeFaults({ context }: Scene, asked: readonly Asked[]): Promise<string[]> {
  const accepted = asked.filter((one) => one.answers().length > 0 && !one.isDefault());
  const settling = await Promise.allSettled(accepted.map((one) => one.settled(SETTLE_MS)));
  const faults = settling.flatMap((one) => (one.status === 'rejected' ? [String(one.reason)] : []));
  await delay(QUIET_MS[context.effort]);
  for (const one of asked) {
    if (accepted.includes(one)) {
      faults.push(...(await one.faults()));
      continue;
    }
    const effects = await one.effects();
    if (effects.length === 0) continue;
    faults.push(`${one.name} ${one.requestId} got ${one.answers()[0]?.text ?? 'no answer'}, but: ${effects.join(' ')}`);
  }
  return faults;
}

const few = (faults: readonly string[]): string[] =>
  faults.length > 6 ? [...faults.slice(0, 6), `and ${faults.length - 6} more`] : [...faults];

function conclude(scene: Scene, what: string, asked: readonly Asked[], faults: readonly string[]): void {
  const defaults = asked.filter((one) => one.isDefault()).length;
  judge(scene.context, `${what}: ${asked.length} requests, ${defaults} by default`, few(faults));
}

/** A reset, a permission and heartbeats have no answer; they must do no more than what they say, and once. */
async function speakUnanswered({ resets }: Scene): Promise<void> {
  await resets.publishRaw('reset', '{"scheduled":false,"type":"Soft"}');
  await resets.allowInstallation();
  resets.startHeartbeats(200);
}

async function tryOutage(scene: Scene, outage: Outage, lastsMs: number): Promise<void> {
  const { depot, context } = scene;
  const starts = (await depot.charger(scene.resets.moduleId))?.everestStarts ?? 1;
  const straddling = askScattered(scene, STRADDLE_MS);
  await delay(context.random.between(0, STRADDLE_MS));
  await outage.begin(depot, lastsMs);
  const begun = performance.now();
  const during: Asked[] = [];
  const unanswered = speakUnanswered(scene);
  for (let burst = 0; performance.now() - begun < lastsMs; burst += 1) {
    const asked = askAll(scene);
    during.push(...asked);
    await answered(asked);
    await repeatSome(scene, burst === 0 ? [...during, ...(await straddling)] : during);
    await delay(context.random.between(100, 600));
  }
  const ended = performance.now();
  await outage.end(depot);
  const asked = [...(await straddling), ...during];
  await unanswered;
  const backMs = await awaitServing(scene, outage.name);
  context.figure(
    `serves again after "${outage.name}"`,
    `${Math.round(performance.now() - ended)} ms (${Math.round(backMs)} ms after its end was done)`,
  );
  await repeatSome(scene, asked);
  const isDuring = new Set(during);
  const expected = { withinMs: ANSWER_MS, mustDefault: (one: Asked) => isDuring.has(one) };
  const outcome = await outcomeFaults(scene, asked);
  const faults = [...asked.flatMap((one) => answerFaults(scene, one, expected)), ...outcome];
  scene.resets.stopHeartbeats();
  const more = ((await depot.charger(scene.resets.moduleId))?.everestStarts ?? 1) - starts;
  if (more > 1) faults.push(`one reset restarted EVerest ${more} times`);
  conclude(scene, outage.name, asked, faults);
}

/** Every gateway says of every queue that no worker takes jobs from it. */
async function awaitWorkersGone({ depot }: Scene): Promise<void> {
  const areGone = async (url: string): Promise<boolean> => {
    const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(PATIENCE_MS) });
    const metrics = await response.text();
    return QUEUE_NAMES.every((queue) => metrics.includes(`khumbu_queue_abandoned{queue="${queue}"} 1`));
  };
  await awaitUntil(
    async () => (await Promise.all(depot.httpUrls.map(areGone)).catch(() => [false])).every(Boolean),
    SETTLE_MS,
    'the workers to count as gone',
  );
}

async function tryWorkersGone(scene: Scene, how: 'stopped' | 'frozen'): Promise<void> {
  const { depot, context } = scene;
  const what = `workers ${how}`;
  for (const worker of WORKERS) {
    if (how === 'frozen') depot.process(worker).freeze();
    else await depot.process(worker).stop('SIGKILL');
  }
  const early = askAll(scene);
  await answered(early);
  // A gateway that stood still, or could not look at Redis, begins to count anew: what is asked before it is done may be accepted.
  await awaitWorkersGone(scene);
  const late = [...askAll(scene)];
  await answered(late);
  await repeatSome(scene, late);
  await Promise.all(
    WORKERS.map(async (worker) => (how === 'frozen' ? depot.process(worker).thaw() : depot.process(worker).start())),
  );
  const backMs = await awaitServing(scene, what);
  context.figure(`serves again after "${what}"`, `${Math.round(backMs)} ms after they serve`);
  const asked = [...early, ...late];
  await repeatSome(scene, asked);
  const isLate = new Set(late.filter(({ name }) => !WITHOUT_WORKERS.includes(name)));
  const expected = { withinMs: ANSWER_MS, mustDefault: (one: Asked) => isLate.has(one) };
  const outcome = await outcomeFaults(scene, asked);
  conclude(scene, what, asked, [...asked.flatMap((one) => answerFaults(scene, one, expected)), ...outcome]);
}

/** Answers must be the same from either gateway; how soon they come is another promise. */
async function tryLeaderGone(scene: Scene, how: 'killed' | 'frozen'): Promise<void> {
  const { depot, context } = scene;
  const leader = depot.process(await depot.leader());
  const straddling = askScattered(scene, STRADDLE_MS);
  await delay(context.random.between(0, STRADDLE_MS));
  if (how === 'killed') leader.kill();
  else leader.freeze();
  const asked = await straddling;
  await answered(asked, 10_000);
  leader.thaw();
  await leader.awaitReady();
  await awaitServing(scene, `the leader was ${how}`);
  // The next leader has to read what it did not say itself: one at a time, so that a slow machine is not what is tried.
  for (const one of asked.filter(() => context.random.chance(0.1))) {
    const before = one.answers().length;
    await one.again();
    await awaitUntil(() => one.answers().length > before, PATIENCE_MS, 'the same answer').catch(() => undefined);
  }
  const faults = asked.flatMap((one) => answerFaults(scene, one, {}));
  conclude(scene, `leader ${how} among requests`, asked, [...faults, ...(await outcomeFaults(scene, asked))]);
}

async function openScene(context: ExperimentContext, stations: number): Promise<Scene> {
  const depot = await startDepot(context, {
    dir: context.dir,
    env: {
      RESET_RESERVATION_S: '1',
      WORKERS_GONE_AFTER_S: String(WORKERS_GONE_S),
      LOG_UPLOAD_RETRY_INTERVAL_S: '1',
    },
    simulated: { log_interval_ms: 10_000, log_history_s: 3600 },
    redisConfig: REDIS_CONFIG,
    // Far fewer than ask at once: what waits for a place in the broker waits out of the gateway's sight.
    mosquittoConfig: ['max_inflight_messages 60'],
  });
  const origin = await startOrigin();
  context.teardown(() => origin.close());
  const connect = async (moduleId: string): Promise<EverestClient> => {
    const client = await startEverestClient({ mqttUrl: depot.mqttUrl, moduleId });
    context.teardown(() => client.close(true));
    return client;
  };
  let count = 0;
  return {
    depot,
    origin,
    context,
    next: () => (count += 1),
    stations: await Promise.all(Array.from({ length: stations }, (_, index) => connect(`station-${index}`))),
    resets: await connect('resets'),
    probe: await connect('probe'),
    latencyProbe: await startLatencyProbe(context, depot.mqttUrl),
    slowest: { ms: 0, what: '', machineMs: 0 },
  };
}

export const failClosed: Experiment = {
  name: 'fail-closed',
  promise:
    'With Redis or the workers gone every request gets its default within 1.5 s and nothing of it happens later; answers never change, and it serves again by itself.',
  async run(context) {
    const short = context.effort === 'short';
    const scene = await openScene(context, short ? 6 : 50);
    await awaitServing(scene, 'the start');
    const rounds = context.cases ?? (short ? 2 : 2 * OUTAGES.length);
    for (let round = 0; round < rounds; round += 1) {
      await tryOutage(
        scene,
        OUTAGES[round % OUTAGES.length] as Outage,
        short ? 2200 : context.random.between(300, 8000),
      );
    }
    await tryWorkersGone(scene, 'stopped');
    if (!short) {
      await tryWorkersGone(scene, 'frozen');
      for (const how of ['killed', 'frozen', 'killed', 'frozen', 'killed'] as const) await tryLeaderGone(scene, how);
    }
    const { ms: slowestMs, what, machineMs } = scene.slowest;
    context.figure('slowest answer', `${ms(slowestMs)} (${what}; the machine itself was ${ms(machineMs)} late)`);
  },
};
