/** Every experiment, in the order of docs/guarantees.md. */
import type { Experiment } from '../experiment.js';
import { disk } from './disk.js';
import { stationMisbehaviour } from './station-misbehaviour.js';

export const EXPERIMENTS: readonly Experiment[] = [stationMisbehaviour, disk];
