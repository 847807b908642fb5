/** Every experiment, in the order of docs/guarantees.md. */
import type { Experiment } from '../experiment.js';

export const EXPERIMENTS: readonly Experiment[] = [];
