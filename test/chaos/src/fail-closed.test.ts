import t from 'tap';
import { failClosed } from './experiments/fail-closed.js';
import { holds } from './short.js';

await holds(t, failClosed);
