import t from 'tap';
import { memoryAndKeys } from './experiments/memory-and-keys.js';
import { holds } from './short.js';

await t.test(memoryAndKeys.promise, (t) => holds(t, memoryAndKeys));
