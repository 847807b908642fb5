/** Run one experiment and keep what it tried and found. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCleanup } from './depot/cleanup.js';
import type { Effort, Experiment } from './experiment.js';
import { createRandom } from './random.js';

export interface Outcome {
  readonly name: string;
  readonly promise: string;
  readonly seed: number;
  readonly held: number;
  readonly broken: readonly { readonly what: string; readonly seen: string }[];
  readonly skipped: readonly { readonly what: string; readonly why: string }[];
  readonly figures: Readonly<Record<string, string>>;
  readonly seconds: number;
}

export interface RunOptions {
  readonly seed: number;
  readonly effort: Effort;
  readonly cases?: number;
  readonly say: (line: string) => void;
}

/** Never rejects for what the experiment does: one that throws is broken, with its error. */
export async function runExperiment(experiment: Experiment, options: RunOptions): Promise<Outcome> {
  const { seed, effort, say } = options;
  const started = performance.now();
  const dir = await mkdtemp(join(tmpdir(), 'khumbu-chaos-'));
  const cleanup = createCleanup();
  const broken: { what: string; seen: string }[] = [];
  const skipped: { what: string; why: string }[] = [];
  const figures: Record<string, string> = {};
  let held = 0;
  const broke = (what: string, seen: string): void => {
    broken.push({ what, seen });
    say(`  BROKEN ${what}: ${seen}`);
  };
  try {
    await experiment.run({
      random: createRandom(seed).fork(experiment.name),
      seed,
      effort,
      dir,
      ...(options.cases === undefined ? {} : { cases: options.cases }),
      say: (line) => say(`  ${line}`),
      held(what) {
        held += 1;
        say(`  held   ${what}`);
      },
      broke,
      skipped(what, why) {
        skipped.push({ what, why });
        say(`  not tried ${what}: ${why}`);
      },
      figure(name, value) {
        figures[name] = value;
      },
      teardown: (clean) => cleanup.teardown(clean),
    });
    if (held === 0 && broken.length === 0 && skipped.length === 0) broke('the experiment', 'it tried nothing');
  } catch (error) {
    broke('the experiment', error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  await cleanup.end().catch((error: unknown) => broke('the end of the experiment', String(error)));
  await rm(dir, { recursive: true, force: true });
  const seconds = (performance.now() - started) / 1000;
  return { name: experiment.name, promise: experiment.promise, seed, held, broken, skipped, figures, seconds };
}
