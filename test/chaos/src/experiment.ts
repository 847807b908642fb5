/** What an experiment is: a promise, a way to attack it, and what was seen. */
import type { Cleanup } from './depot/cleanup.js';
import type { Random } from './random.js';

/** `short`: within a minute, for every test run. `long`: what the promise deserves. */
export type Effort = 'short' | 'long';

export interface ExperimentContext extends Cleanup {
  readonly random: Random;
  /** As the person who runs it gave it: where cases are numbered from it, one can be repeated alone. */
  readonly seed: number;
  readonly effort: Effort;
  /** An empty folder of its own, removed afterwards. */
  readonly dir: string;
  /** How many random cases, where the person who runs it said so. */
  readonly cases?: number;
  /** A line for people who watch; progress of long work. */
  say(line: string): void;
  /** One attempt that held. `what` is counted and printed, such as `SIGKILL of redis at Installing`. */
  held(what: string): void;
  /** One attempt that broke the promise, with what was seen instead. The experiment goes on where it can. */
  broke(what: string, seen: string): void;
  /** An attempt that could not be made on this machine, and why. Never for something that broke. */
  skipped(what: string, why: string): void;
  /** A figure for the report, such as `slowest answer`, `231 ms`. */
  figure(name: string, value: string): void;
}

export interface Experiment {
  /** What `--only` takes, such as `kill-matrix`. */
  readonly name: string;
  /** The promise in one sentence, as in docs/guarantees.md. */
  readonly promise: string;
  run(context: ExperimentContext): Promise<void>;
}

/** Compare, then say what was seen: `held`, or `broke`. Returns whether it held. */
export function judge(context: ExperimentContext, what: string, faults: readonly string[]): boolean {
  if (faults.length === 0) context.held(what);
  else context.broke(what, faults.join('; '));
  return faults.length === 0;
}
