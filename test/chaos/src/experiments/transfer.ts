/**
 * Downloads from servers that cut, stall and lie, by workers that are killed and frozen. A case follows from its seed alone;
 * `--seed N --cases 1` repeats the one with seed N.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Experiment, judge } from '../experiment.js';
import { createRandom } from '../random.js';
import { judgePlayed } from '../transfer/judge.js';
import { describePlan, planOf } from '../transfer/plan.js';
import { play } from '../transfer/play.js';
import { startSources } from '../transfer/sources.js';

const CASES = { short: 8, long: 500 } as const;
const LANES = 3;

export const transfer: Experiment = {
  name: 'transfer',
  promise:
    'Whatever a server cuts, withholds or gets wrong, and whenever a worker is killed or frozen: what is fetched is the file as the server had it, never a mixture, and what was held is not fetched again.',
  async run(context) {
    const { effort, seed, dir } = context;
    const cases = context.cases ?? CASES[effort];
    const seeds = Array.from({ length: cases }, (_none, index) => seed + index);
    let runs = 0;
    const lane = async (): Promise<void> => {
      const sources = await startSources(context);
      for (let next = seeds.shift(); next !== undefined; next = seeds.shift()) {
        const spool = join(dir, String(next));
        await mkdir(spool);
        const plan = planOf(next, createRandom(next).fork('transfer'));
        const what = `seed ${next}: ${describePlan(plan)}`;
        const played = await play(plan, sources[plan.scheme], String(next), spool);
        runs += played.ends.length;
        judge(context, `${what}: ${played.ends.join(', ')}`, judgePlayed(plan, played));
        await rm(spool, { recursive: true, force: true });
      }
    };
    await Promise.all(Array.from({ length: LANES }, lane));
    context.figure('cases', String(cases));
    context.figure('runs of workers', String(runs));
  },
};
