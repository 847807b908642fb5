/**
 * A pool of threads of one script: to start one takes as much of a processor as to fetch some megabytes. Idle threads are
 * ended after a while.
 */
import { Worker } from 'node:worker_threads';
import { CodedError } from '@khumbu/shared/runtime/errors';

/** How long a thread stays idle, and how many at most. */
const IDLE_MS = 10_000;
const MOST_IDLE = 2;

/** The thread that runs a piece of work. */
export interface Thread<In> {
  readonly post: (message: In) => void;
}

export interface Work<In, Out, Result> {
  readonly request: In;
  readonly signal: AbortSignal;
  /** Posted when the signal fires; the thread answers when it has stopped. Without it the thread is ended. */
  readonly abort?: In;
  /** A result or an exception ends the work, and the thread is idle again. */
  readonly onMessage: (message: Out, thread: Thread<In>) => { readonly result: Result } | undefined;
}

/** Rejects with the signal's reason when aborted, or with `THREAD_ENDED`. Does not keep the process alive without work. */
export type Threads<In, Out> = <Result>(work: Work<In, Out, Result>) => Promise<Result>;

const withoutListeners = (worker: Worker): void => {
  for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
};

export function createThreads<In, Out>(script: URL): Threads<In, Out> {
  const idle = new Map<Worker, NodeJS.Timeout>();

  const acquire = (): Worker => {
    const [next] = idle;
    if (!next) return new Worker(script, { execArgv: [], env: {} });
    const [worker, timer] = next;
    clearTimeout(timer);
    idle.delete(worker);
    withoutListeners(worker);
    worker.ref();
    return worker;
  };
  const end = (worker: Worker): void => {
    idle.delete(worker);
    void worker.terminate();
  };
  const release = (worker: Worker): void => {
    withoutListeners(worker);
    if (idle.size >= MOST_IDLE) {
      end(worker);
      return;
    }
    worker.unref();
    idle.set(worker, setTimeout(() => end(worker), IDLE_MS).unref());
    worker.once('error', () => end(worker));
    worker.once('exit', () => end(worker));
  };

  return async ({ request, signal, abort, onMessage }) => {
    signal.throwIfAborted();
    const worker = acquire();
    let isOver = false;
    const post = (message: In): void => {
      // A late message would reach the thread during its next work.
      if (!isOver) worker.postMessage(message);
    };
    let onAbort: () => void = () => undefined;
    try {
      return await new Promise((resolve, reject) => {
        const fail = (error: Error): void => {
          if (isOver) return;
          isOver = true;
          end(worker);
          reject(error);
        };
        onAbort = () => (abort === undefined ? fail(signal.reason as Error) : post(abort));
        signal.addEventListener('abort', onAbort, { once: true });
        worker.on('message', (message: Out) => {
          if (isOver) return;
          try {
            const last = onMessage(message, { post });
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
        worker.postMessage(request);
      });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  };
}
