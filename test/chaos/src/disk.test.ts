import t from 'tap';
import { disk } from './experiments/disk.js';
import { holds } from './short.js';

await t.test(disk.promise, (t) => holds(t, disk));
