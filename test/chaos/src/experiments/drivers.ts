/**
 * Updates by real drivers at real tools, each with random faults on the way, at the station, and among the workers. A round
 * follows from its seed alone; `--seed N --cases 1` repeats the one with seed N.
 */
import { join } from 'node:path';
import type { ChargerKind } from '../drivers/charger.js';
import { CHARGER_KINDS } from '../drivers/chargers.js';
import { judgePlayed } from '../drivers/judge.js';
import { type Lane, openLane } from '../drivers/lane.js';
import { describePlan, type FaultName, planOf } from '../drivers/plan.js';
import { playRound } from '../drivers/round.js';
import { createWorkerStock, type WorkerStock } from '../drivers/worker.js';
import { type Experiment, type ExperimentContext, judge } from '../experiment.js';

const CASES = { short: 6, long: 200 } as const;
const LANES = { short: 1, long: 2 } as const;

/** What a fault takes that not every charger, or not every machine, has. */
const NEEDS: Partial<Readonly<Record<FaultName, (lane: Lane) => boolean>>> = {
  'kill the service': ({ charger }) => charger.killService !== undefined,
  'keep the service away': ({ charger }) => charger.keepServiceAway !== undefined,
  'kill the client': ({ charger }) => charger.killClient !== undefined,
  'fill the state folder': ({ stateDisk }) => stateDisk !== undefined,
};

const isPossible =
  (lane: Lane) =>
  (name: FaultName): boolean =>
    NEEDS[name]?.(lane) ?? true;

async function play(
  context: ExperimentContext,
  kind: ChargerKind,
  lane: Lane,
  stock: WorkerStock,
  seed: number,
): Promise<void> {
  const plan = planOf(seed, isPossible(lane));
  const began = performance.now();
  const what = `seed ${seed}: ${kind.name}, ${describePlan(plan)}`;
  const played = await playRound(lane, stock, plan, `op-${seed}`);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const isGood = judge(context, `${what}: ${played.record.state} (${seconds} s)`, judgePlayed(plan, played));
  if (!isGood) context.say(JSON.stringify(played));
}

export const drivers: Experiment = {
  name: 'drivers',
  promise:
    'Whatever is killed, cut, frozen or filled between a worker and a real update tool, or in the middle of it: each effect once, one final status, and it is true.',
  async run(context) {
    const { effort, seed, dir } = context;
    const cases = context.cases ?? CASES[effort];
    const stock = createWorkerStock(2);
    context.teardown(() => stock.end());
    const kinds = CHARGER_KINDS.filter((kind) => {
      const why = kind.missing();
      if (why !== undefined) context.skipped(kind.name, why);
      return why === undefined;
    });
    await Promise.all(
      kinds.map(async (kind) => {
        const own = Array.from({ length: cases }, (_none, index) => seed + index).filter(
          (each) => CHARGER_KINDS[each % CHARGER_KINDS.length] === kind,
        );
        await Promise.all(
          Array.from({ length: Math.min(LANES[effort], own.length) }, async (_none, index) => {
            const lane = await openLane(context, kind, join(dir, `${kind.name}-${index}`));
            for (let next = own.shift(); next !== undefined; next = own.shift())
              await play(context, kind, lane, stock, next);
          }),
        );
      }),
    );
    context.figure('rounds', String(cases));
  },
};
