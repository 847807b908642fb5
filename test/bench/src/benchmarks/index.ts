/** Every benchmark, in the order of the table. */
import type { Benchmark } from '../row.js';
import { firmwareVerify } from './firmware-verify.js';
import { fleet } from './fleet.js';
import { idleFootprint } from './footprint.js';
import { logUpload } from './log-upload.js';
import { readyTime } from './ready-time.js';
import { replyLatency } from './reply-latency.js';
import { replyThroughput } from './reply-throughput.js';
import { updateWall } from './update-wall.js';

export const BENCHMARKS: readonly Benchmark[] = [
  replyLatency,
  replyThroughput,
  firmwareVerify,
  updateWall,
  fleet,
  logUpload,
  idleFootprint,
  readyTime,
];
