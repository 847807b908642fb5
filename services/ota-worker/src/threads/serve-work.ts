/** The other side of a pool of threads: what a thread does with the work it is given, several pieces at once if need be. */
import { parentPort } from 'node:worker_threads';

/** The first message of a number begins that piece of work; after `over` the number does not come again. */
export type ToThread<In> =
  | { readonly work: number; readonly message: In }
  | { readonly work: number; readonly over: true };

export interface FromThread<Out> {
  readonly work: number;
  readonly message: Out;
}

/** `begin` is called once for each piece of work; what it returns gets all its messages, the first one included. */
export function serveWork<In, Out>(begin: (post: (message: Out) => void) => (message: In) => void): void {
  const port = parentPort;
  if (!port) throw new Error('this script runs as a thread only');
  const begun = new Map<number, (message: In) => void>();
  port.on('message', (told: ToThread<In>) => {
    const { work } = told;
    if ('over' in told) {
      begun.delete(work);
      return;
    }
    let take = begun.get(work);
    if (!take) {
      take = begin((message) => port.postMessage({ work, message } satisfies FromThread<Out>));
      begun.set(work, take);
    }
    take(told.message);
  });
}
