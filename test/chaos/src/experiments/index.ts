/** Every experiment, in the order of docs/guarantees.md. */
import type { Experiment } from '../experiment.js';
import { badInput } from './bad-input.js';
import { clockJumps } from './clock-jumps.js';
import { disk } from './disk.js';
import { drivers } from './drivers.js';
import { failClosed } from './fail-closed.js';
import { flood } from './flood.js';
import { interleavings } from './interleavings.js';
import { killMatrix } from './kill-matrix.js';
import { memoryAndKeys } from './memory-and-keys.js';
import { randomFaults } from './random-faults.js';
import { restInput } from './rest-input.js';
import { stationAbsence } from './station-absence.js';
import { stationMisbehaviour } from './station-misbehaviour.js';
import { transfer } from './transfer.js';
import { twoEffects } from './two-effects.js';

export const EXPERIMENTS: readonly Experiment[] = [
  killMatrix,
  randomFaults,
  interleavings,
  failClosed,
  twoEffects,
  stationMisbehaviour,
  stationAbsence,
  disk,
  memoryAndKeys,
  clockJumps,
  badInput,
  restInput,
  flood,
  drivers,
  transfer,
];
