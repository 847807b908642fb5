/** The short form of an experiment as a test: the seed is fixed, so that a red run is red again. */
import type { Test } from 'tap';
import type { Experiment } from './experiment.js';
import { runExperiment } from './run-experiment.js';

const SEED = 1;
const LIMIT_MS = 3_600_000;

/** A subtest: tap would end a file whose first subtest is over before what is awaited next has asserted anything. */
export async function holds(t: Test, experiment: Experiment): Promise<void> {
  t.setTimeout(LIMIT_MS);
  await t.test(experiment.name, async (t) => {
    t.setTimeout(LIMIT_MS);
    const outcome = await runExperiment(experiment, { seed: SEED, effort: 'short', say: (line) => t.comment(line) });
    t.ok(outcome.held > 0, `${experiment.name}: ${outcome.held} attempts held`);
    t.same(outcome.broken, [], experiment.promise);
  });
}
