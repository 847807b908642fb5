import t from 'tap';
import { interleavings } from './experiments/interleavings.js';
import { holds } from './short.js';

void t.test('interleavings of one update', (t) => holds(t, interleavings));
