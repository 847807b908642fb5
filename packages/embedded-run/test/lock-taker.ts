/**
 * A process that takes the lock of many folders, each at the instant at which others do:
 * `lock-taker.js <folder> <how many> <first instant> <ms between>`. Writes which of them it got, as JSON.
 */
import { join } from 'node:path';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { takeRunLock } from '../src/run-lock.js';

const [, , folder = '', count = '0', first = '0', gap = '0'] = process.argv;
const got: number[] = [];
for (let round = 0; round < Number(count); round += 1) {
  while (performance.timeOrigin + performance.now() < Number(first) + round * Number(gap));
  try {
    takeRunLock(join(folder, String(round)), 'it');
    got.push(round);
  } catch (error) {
    if (!hasCode(error, 'DATA_DIR_IN_USE')) throw error;
  }
}
process.stdout.write(JSON.stringify(got));
// What it got is held until somebody ends it: who comes late must find its holder alive.
setInterval(() => undefined, 60_000);
