/**
 * Threads of one script, which work for one after the other: to start one takes as much of a processor as to fetch some
 * megabytes. Those without work are ended after a while.
 */
import { Worker } from 'node:worker_threads';
import { CodedError } from '@khumbu/shared/runtime/errors';

/** How long one waits for more work, and how many at most. */
const SPARE_MS = 10_000;
const MOST_SPARE = 2;

/** The thread that does a piece of work. */
export interface AtWork<In> {
  readonly tell: (message: In) => void;
}

export interface Work<In, Out, Result> {
  readonly order: In;
  readonly signal: AbortSignal;
  /** The thread is told so when the signal fires, and says when it has stopped; without it the thread is ended. */
  readonly stop?: In;
  /** A result or an exception: it is the thread's last word on this, and it is free for other work. */
  readonly hear: (message: Out, thread: AtWork<In>) => { readonly result: Result } | undefined;
}

/** Rejects with the signal's reason when aborted, or with `THREAD_ENDED`. Does not keep the process alive without work. */
export type Threads<In, Out> = <Result>(work: Work<In, Out, Result>) => Promise<Result>;

const forget = (worker: Worker): void => {
  for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
};

export function createThreads<In, Out>(script: URL): Threads<In, Out> {
  const spare = new Map<Worker, NodeJS.Timeout>();

  const engage = (): Worker => {
    const [next] = spare;
    if (!next) return new Worker(script, { execArgv: [], env: {} });
    const [worker, timer] = next;
    clearTimeout(timer);
    spare.delete(worker);
    forget(worker);
    worker.ref();
    return worker;
  };
  const dismiss = (worker: Worker): void => {
    spare.delete(worker);
    void worker.terminate();
  };
  const release = (worker: Worker): void => {
    forget(worker);
    if (spare.size >= MOST_SPARE) {
      dismiss(worker);
      return;
    }
    worker.unref();
    spare.set(worker, setTimeout(() => dismiss(worker), SPARE_MS).unref());
    worker.once('error', () => dismiss(worker));
    worker.once('exit', () => dismiss(worker));
  };

  return async ({ order, signal, stop, hear }) => {
    signal.throwIfAborted();
    const worker = engage();
    let isOver = false;
    const tell = (message: In): void => {
      // What comes late would be taken for a word on the next work.
      if (!isOver) worker.postMessage(message);
    };
    let onAbort: () => void = () => undefined;
    try {
      return await new Promise((resolve, reject) => {
        const fail = (error: Error): void => {
          if (isOver) return;
          isOver = true;
          dismiss(worker);
          reject(error);
        };
        onAbort = () => (stop === undefined ? fail(signal.reason as Error) : tell(stop));
        signal.addEventListener('abort', onAbort, { once: true });
        worker.on('message', (message: Out) => {
          if (isOver) return;
          try {
            const last = hear(message, { tell });
            if (!last) return;
            resolve(last.result);
          } catch (error) {
            reject(error as Error);
          }
          isOver = true;
          release(worker);
        });
        worker.once('error', fail);
        worker.once('exit', () =>
          fail(new CodedError('THREAD_ENDED', 'the thread has ended before its work was done')),
        );
        worker.postMessage(order);
      });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  };
}
