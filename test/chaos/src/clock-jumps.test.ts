import t from 'tap';
import { findFaketime } from './depot/host-clocks.js';
import { clockJumps } from './experiments/clock-jumps.js';
import { holds } from './short.js';

if (findFaketime() === undefined) {
  t.plan(0, 'libfaketime is not installed: no clock can be set');
} else await holds(t, clockJumps);
