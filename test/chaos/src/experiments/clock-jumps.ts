/**
 * The clocks of hosts jump an hour while locks, leases, pauses, dates and effects are pending. `CHAOS_LOGS=DIR` keeps what
 * every process logged last when a jump breaks something.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describeError } from '@khumbu/shared/runtime/errors';
import { makeSigner } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import { type Depot, type ProcessName, type ServiceName, startDepot } from '../depot/depot.js';
import { createHandStation } from '../depot/hand-station.js';
import { findFaketime, type HostClocks, hostClocks } from '../depot/host-clocks.js';
import { keepLogs } from '../depot/kept-logs.js';
import { type Experiment, type ExperimentContext, judge } from '../experiment.js';
import {
  awaitListed,
  MOMENTS,
  operationsOf,
  type Parked,
  type Scene,
  SIMULATED,
  stationName,
} from './clock-jumps/moments.js';

const HOUR_MS = 3600_000;
const LEASE_MS = 5000;
const LOOK_MS = 2500;
const SERVICES: readonly ServiceName[] = [
  'gateway-1',
  'gateway-2',
  'ota-worker-1',
  'ota-worker-2',
  'log-worker-1',
  'system-control-1',
];
const HOSTS: readonly ProcessName[] = [...SERVICES, 'redis'];

/** Whose clocks jump, found when they do. */
const VICTIMS = {
  'the leader': async (depot) => [await depot.leader()],
  'the standby': async (depot) => [await depot.standby()],
  'an ota-worker': async () => ['ota-worker-1'],
  'the log-worker': async () => ['log-worker-1'],
  'system-control': async () => ['system-control-1'],
  Redis: async () => ['redis'],
  'every host': async () => HOSTS,
} as const satisfies Record<string, (depot: Depot) => Promise<readonly ProcessName[]>>;
type Victim = keyof typeof VICTIMS;

interface Round {
  readonly victim: Victim;
  readonly byMs: number;
  /** With the jump the leader and an ota-worker die, with the lease and locks in their hands. */
  readonly kills: boolean;
}

const LONG: readonly Round[] = (Object.keys(VICTIMS) as Victim[]).flatMap((victim) =>
  [HOUR_MS, -HOUR_MS].flatMap((byMs) => [false, true].map((kills) => ({ victim, byMs, kills }))),
);
/** What hangs for an hour without care: expiry in Redis, and locks that their own worker does not renew. */
const SHORT: readonly Round[] = [
  { victim: 'Redis', byMs: -HOUR_MS, kills: true },
  { victim: 'an ota-worker', byMs: -HOUR_MS, kills: false },
];

type Attempt = readonly [moment: string, parked: Parked];

async function judgeAll(
  context: ExperimentContext,
  depot: Depot,
  what: string,
  attempts: readonly Attempt[],
): Promise<void> {
  await Promise.all(
    attempts.map(async ([moment, parked]) => {
      const attempt = `${what} at ${moment}`;
      const faults = await parked.after().catch((error: unknown) => [describeError(error)]);
      if (!judge(context, attempt, faults)) {
        await keepLogs(depot, attempt, { [parked.station.name]: parked.station.everything() });
      }
      await parked.station.vanish();
    }),
  );
}

async function play(
  context: ExperimentContext,
  base: Omit<Scene, 'jump' | 'station'>,
  clocks: HostClocks,
  round: Round,
  number: number,
): Promise<void> {
  const { depot } = base;
  const { byMs, kills, victim } = round;
  const hosts: readonly ProcessName[] = await VICTIMS[victim](depot);
  const jump = { byMs, movesDates: hosts.includes('redis') };
  const what = `${victim} ${byMs > 0 ? 'an hour ahead' : 'an hour back'}${kills ? ', leader and worker killed' : ''}`;
  const scene: Scene = {
    ...base,
    jump,
    async station(moment) {
      const one = createHandStation(context, depot, stationName(moment, number));
      await one.arrive();
      one.beatOn(1);
      await awaitListed(depot, one.name);
      return one;
    },
  };
  const parked: Attempt[] = [];
  const park = async ([moment, bring]: (typeof entries)[number]): Promise<void> => {
    try {
      parked.push([moment, await bring(scene, await scene.station(moment))]);
    } catch (error) {
      context.broke(`${what}: before it, at ${moment}`, describeError(error));
    }
  };
  const entries = Object.entries(MOMENTS);
  await Promise.all(entries.map(park));
  const attempts: Attempt[] = [];
  for (const attempt of parked) {
    if (await attempt[1].isThere()) attempts.push(attempt);
    else context.skipped(`${what} at ${attempt[0]}`, 'this machine was so slow that the moment had passed');
  }
  clocks.set(hosts, byMs);
  if (kills) {
    depot.process(await depot.leader()).kill();
    depot.process('ota-worker-1').kill();
  }
  const began = performance.now();
  await depot.leader(LEASE_MS);
  await judgeAll(
    context,
    depot,
    what,
    attempts.filter(([, parked]) => !parked.waitsOn),
  );
  context.figure(`until all was done, ${what}`, `${((performance.now() - began) / 1000).toFixed(1)} s`);
  const late = attempts.filter(([, parked]) => parked.waitsOn);
  for (const [moment, { station }] of late) {
    const open = await operationsOf(depot, station.name);
    const seen = open[0]?.status ?? 'nothing open';
    judge(context, `${what} at ${moment}: waits on`, seen === moment ? [] : [`it is ${seen}`]);
  }
  clocks.set(hosts, 0);
  await judgeAll(context, depot, `${what}, and on again`, late);
  await depot.heal();
  // Every process looks at the date once a second.
  await delay(LOOK_MS);
}

export const clockJumps: Experiment = {
  name: 'clock-jumps',
  promise:
    'The wall clock of any host, Redis’ among them, may jump an hour either way: nothing is installed twice, nothing ' +
    'ends as failed, no pause, lock, lease or deadline lasts an hour longer or ends early, and every status comes in order.',
  async run(context) {
    const library = findFaketime();
    if (library === undefined) {
      context.skipped('every jump', 'libfaketime is not installed (Debian, Ubuntu: apt-get install faketime)');
      return;
    }
    const short = context.effort === 'short';
    const clocks = hostClocks(join(context.dir, 'clocks'), library, HOSTS);
    const reservationMs = 40_000;
    const rounds = short ? SHORT : context.random.shuffled(LONG).slice(0, context.cases ?? LONG.length);
    const depot = await startDepot(context, {
      dir: join(context.dir, 'depot'),
      services: SERVICES,
      env: { JOB_LOCK_MS: '1000', RESET_RESERVATION_S: String(reservationMs / 1000) },
      envOf: clocks.envOf,
      stations: Object.fromEntries(
        rounds.flatMap((_round, index) =>
          Object.entries(SIMULATED).map(([moment, simulated]) => [stationName(moment, index + 1), { simulated }]),
        ),
      ),
    });
    const origin = await startOrigin();
    context.teardown(() => origin.close());
    const signer = await makeSigner(context.dir);
    const say = (line: string): void => context.say(line);
    const base = { depot, origin, signer, pauseS: 30, reservationMs, say };
    for (const [index, round] of rounds.entries()) await play(context, base, clocks, round, index + 1);
  },
};
