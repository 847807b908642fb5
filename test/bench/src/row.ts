/** A row of the table: a figure of ours beside the figure of what a user would use instead, from one run. */
import type { Cleanup } from '@khumbu/chaos/depot/cleanup';

export type Unit = 's' | 'ms' | '1/s' | 'MB' | 'bytes' | 'x';

/** One row as `--json` writes it. Members that could not be measured are `null`; `why` then says why. */
export interface Row {
  readonly name: string;
  readonly unit: Unit;
  /** Median. */
  readonly ours: number | null;
  readonly baseline: number | null;
  readonly baselineName: string;
  /** ours / baseline. */
  readonly ratio: number | null;
  /** How many measurements the medians come from. */
  readonly n: number;
  /** Half the distance between the 10th and the 90th percentile of ours, relative to the median. */
  readonly spread: number | null;
  readonly why?: string;
}

/** `full`: for figures. `short`: every measurement once and small, to see that the benchmark itself works. */
export type Effort = 'full' | 'short';

export interface BenchContext extends Cleanup {
  readonly effort: Effort;
  /** An empty folder of its own, removed afterwards. */
  readonly dir: string;
  /** Progress, for people who watch. */
  say(line: string): void;
}

/** What was measured for one row: a figure of each repeat. Baselines that are a published constant have one. */
export interface Measured {
  readonly ours: readonly number[];
  readonly baseline?: readonly number[];
  /** More that was seen, for people and for docs/performance.md: curves, profiles, per-process figures. */
  readonly notes?: readonly string[];
}

/** One measurement gives one or more rows, because the same load often answers several questions. */
export interface Benchmark<Name extends string = string> {
  readonly rows: readonly {
    readonly name: Name;
    readonly unit: Unit;
    /** What the baseline is; `-` for none. */
    readonly baselineName: string;
    /** The bound that is wanted, as text for the table, such as `ratio <= 2.0`, and whether a row meets it. */
    readonly wanted: string;
    readonly meets: (row: Row) => boolean;
  }[];
  /** Measure them. A row that is missing in the result could not be measured; throwing says so for all of them. */
  measure(context: BenchContext): Promise<Partial<Readonly<Record<Name, Measured>>>>;
}
