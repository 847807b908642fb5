/** Every benchmark, in the order of the table. */
import type { Benchmark } from '../row.js';

export const BENCHMARKS: readonly Benchmark[] = [];
