import t from 'tap';
import { killMatrix } from './experiments/kill-matrix.js';
import { holds } from './short.js';

await holds(t, killMatrix);
