/**
 * Random combinations: a few stations at random places of random operations, one or two faults that may overlap. Each
 * case follows from its seed alone; `--seed N --cases 1` repeats the case with seed N. `CHAOS_LOGS=DIR` keeps what every
 * process logged last when a case fails.
 */
import { join } from 'node:path';
import { type Experiment, type ExperimentContext, judge } from '../experiment.js';
import { ACTS, type Act } from '../kill/acts.js';
import { FAULT_KINDS, nameOf, TARGETS } from '../kill/faults.js';
import { keepStage } from '../kill/keep-stage.js';
import { type PlannedFault, playRound, type Round } from '../kill/round.js';
import { type Stage, startStage } from '../kill/stage.js';
import { judgeRound } from '../kill/verdict.js';
import { createRandom, type Random } from '../random.js';

const DEPOTS = { short: 1, long: 6 } as const;
const CASES = { short: 1, long: 200 } as const;
/** Two workers of the kinds that work for long, so that one takes over what another stands still with. */
const SERVICES = [
  'gateway-1',
  'gateway-2',
  'ota-worker-1',
  'ota-worker-2',
  'log-worker-1',
  'log-worker-2',
  'system-control-1',
] as const;

/** The same act at another time. */
function shifted(act: Act, random: Random): Act {
  const askAt = act.askAt === 'strike' || random.chance(0.3) ? act.askAt : -random.between(0, 3800);
  if (act.kind !== 'update') return { ...act, askAt };
  return {
    ...act,
    askAt,
    ...(act.permitAt === undefined ? {} : { permitAt: random.between(-500, 6000) }),
    ...(act.retrieveAt === undefined ? {} : { retrieveAt: random.between(500, 6000) }),
    ...(act.installAt === undefined ? {} : { installAt: random.between(500, 6000) }),
  };
}

function randomFault(random: Random, latestAt: number): PlannedFault {
  const target = random.pick(TARGETS);
  const kind = random.pick(FAULT_KINDS);
  const forMs = { SIGKILL: 0, SIGSTOP: random.between(500, 12_000), 'network refused': random.between(200, 6000) }[
    kind
  ];
  return { fault: { target, kind, forMs }, at: random.between(0, latestAt) };
}

export function randomRound(seed: number): Round {
  const random = createRandom(seed).fork('random-faults');
  const acts = random.shuffled(ACTS).slice(0, random.between(3, 6));
  const faults = [randomFault(random, 0), ...(random.chance(0.6) ? [randomFault(random, 5000)] : [])];
  return { acts: acts.map((act) => shifted(act, random)), faults, pick: (names) => random.pick(names) };
}

const describe = ({ faults }: Round): string =>
  faults
    .map(({ fault, at }) => `${nameOf(fault)}${fault.forMs > 0 ? ` for ${fault.forMs} ms` : ''} at ${at} ms`)
    .join(', ');

export const randomFaults: Experiment = {
  name: 'random-faults',
  promise:
    'Random faults, alone or overlapping, at random moments of random operations: the same holds as for one of them.',
  async run(context) {
    const cases = context.cases ?? CASES[context.effort];
    const queue = Array.from({ length: cases }, (_, index) => context.seed + index);
    const failed: number[] = [];
    const states = new Set<string>();
    // A depot is much to start; together they would not be ready in time.
    let started: Promise<unknown> = Promise.resolve();
    const oneByOne = (start: () => Promise<Stage>): Promise<Stage> => {
      const next = started.then(start);
      started = next.catch(() => undefined);
      return next;
    };
    const depots = Array.from({ length: Math.min(DEPOTS[context.effort], cases) }, async (_, index) => {
      let stage: Stage | undefined;
      for (let built = 0, seed = queue.shift(); seed !== undefined; seed = queue.shift()) {
        if (!stage) {
          built += 1;
          const dir = join(context.dir, `depot-${index}-${built}`);
          stage = await oneByOne(() => startStage(context, { dir, services: SERVICES, env: { JOB_LOCK_MS: '3000' } }));
        }
        if (await play(context, stage, seed, states)) continue;
        failed.push(seed);
        await stage.stop();
        stage = undefined;
      }
    });
    await Promise.all(depots);
    context.figure('cases', String(cases));
    context.figure('statuses struck', String(states.size));
    if (failed.length > 0) context.figure('seeds that failed', failed.join(' '));
  },
};

/** One case; whether it held. */
async function play(context: ExperimentContext, stage: Stage, seed: number, states: Set<string>): Promise<boolean> {
  const round = randomRound(seed);
  const played = await playRound(stage, round);
  const { acts, left } = await judgeRound(stage, round, played);
  for (const { name, state } of acts) if (state) states.add(`${name.split('-')[0]} ${state}`);
  const faults = acts.flatMap((act) => act.faults.map((fault) => `${act.name} (${act.state}): ${fault}`));
  if (faults.length + left.length > 0) await keepStage(stage, `seed-${seed}`);
  const quiet = `quiet after ${(played.quietAfterMs / 1000).toFixed(1)} s`;
  return judge(context, `seed ${seed}: ${describe(round)}; ${acts.length} acts, ${quiet}`, [...faults, ...left]);
}
