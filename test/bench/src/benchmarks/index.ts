/** Every benchmark, in the order of the table. */
import type { Benchmark } from '../row.js';
import { replyLatency } from './reply-latency.js';
import { replyThroughput } from './reply-throughput.js';

export const BENCHMARKS: readonly Benchmark[] = [replyLatency, replyThroughput];
