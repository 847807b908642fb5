/** A thread that does what it is told, and counts how often. */
import { parentPort } from 'node:worker_threads';

let count = 0;
parentPort?.on('message', (order: string) => {
  if (order === 'throw') throw new Error('broken');
  if (order === 'exit') process.exit(0);
  count += 1;
  parentPort?.postMessage({ order, count });
});
