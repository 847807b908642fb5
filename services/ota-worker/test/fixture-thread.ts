/** A thread that does what it is told, and counts how often. */
import { serveWork } from '@khumbu/ota-worker/threads/serve-work';

let count = 0;
let begun = 0;
serveWork<string, { readonly order: string; readonly count: number; readonly begun: number }>((post) => {
  begun += 1;
  return (order) => {
    if (order === 'throw') throw new Error('broken');
    if (order === 'exit') process.exit(0);
    count += 1;
    if (order !== 'wait') post({ order, count, begun });
  };
});
