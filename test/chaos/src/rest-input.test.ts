import t from 'tap';
import { restInput } from './experiments/rest-input.js';
import { holds } from './short.js';

void t.test(restInput.promise, (t) => holds(t, restInput));
