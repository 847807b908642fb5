import t from 'tap';
import { badInput } from './experiments/bad-input.js';
import { holds } from './short.js';

void t.test(badInput.promise, (t) => holds(t, badInput));
