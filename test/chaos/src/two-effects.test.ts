import t from 'tap';
import { twoEffects } from './experiments/two-effects.js';
import { holds } from './short.js';

await holds(t, twoEffects);
