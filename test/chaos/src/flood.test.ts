import t from 'tap';
import { flood } from './experiments/flood.js';
import { holds } from './short.js';

void t.test(flood.promise, (t) => holds(t, flood));
