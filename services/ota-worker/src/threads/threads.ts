/**
 * A pool of threads of one script: to start one takes as much of a processor as to fetch some megabytes, and each takes 25 MB
 * of memory. Idle threads are ended after a while. In the thread: `serve-work.ts`.
 */
import { Worker } from 'node:worker_threads';
import { onAbort } from '@khumbu/shared/runtime/abort';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { FromThread, ToThread } from './serve-work.js';

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
  /** Called as soon as the request is posted: for more messages before the thread has said anything. */
  readonly onBegun?: (thread: Thread<In>) => void;
  /** A result or an exception ends the work, and the thread is idle again. `abort` is posted for an exception, whether or not the thread has ended it. */
  readonly onMessage: (message: Out, thread: Thread<In>) => { readonly result: Result } | undefined;
}

/** Rejects with the signal's reason when aborted, or with `THREAD_ENDED`. Does not keep the process alive without work. */
export type Threads<In, Out> = <Result>(work: Work<In, Out, Result>) => Promise<Result>;

/** Work that leaves the thread to the others when it is aborted. */
export type SharedThreads<In, Out> = <Result>(work: Work<In, Out, Result> & { readonly abort: In }) => Promise<Result>;

/** What a piece of work hears of its thread. */
interface Listener<Out> {
  readonly message: (message: Out) => void;
  readonly failed: (error: Error) => void;
}

interface PoolThread<Out> {
  readonly worker: Worker;
  /** By the number of the work. */
  readonly works: Map<number, Listener<Out>>;
  idle: NodeJS.Timeout | undefined;
}

class Pool<In, Out> {
  readonly #script: URL;
  readonly #most: number;
  readonly #threads = new Set<PoolThread<Out>>();
  #last = 0;

  constructor(script: URL, most: number) {
    this.#script = script;
    this.#most = most;
  }

  readonly run: Threads<In, Out> = async ({ request, signal, abort, onBegun, onMessage }) => {
    signal.throwIfAborted();
    const thread = this.#acquire();
    this.#last += 1;
    const work = this.#last;
    const tell = (message: ToThread<In>): void => thread.worker.postMessage(message);
    const post = (message: In): void => {
      // A late message would begin the work anew.
      if (thread.works.has(work)) tell({ work, message });
    };
    let withdraw = (): void => undefined;
    try {
      return await new Promise((resolve, reject) => {
        const failed = (error: Error): void => {
          if (!thread.works.delete(work)) return;
          this.#end(thread);
          reject(error);
        };
        const message = (said: Out): void => {
          try {
            const last = onMessage(said, { post });
            if (!last) return;
            resolve(last.result);
          } catch (error) {
            // The thread may go on with it, unheard: only its last word says that it does not.
            if (abort !== undefined) post(abort);
            reject(error as Error);
          }
          thread.works.delete(work);
          tell({ work, over: true });
          this.#release(thread);
        };
        withdraw = onAbort(signal, () => (abort === undefined ? failed(signal.reason as Error) : post(abort)));
        thread.works.set(work, { message, failed });
        post(request);
        onBegun?.({ post });
      });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      withdraw();
    }
  };

  /** One that is idle, else a new one, else the one with the least to do. */
  #acquire(): PoolThread<Out> {
    const byLoad = [...this.#threads].toSorted((a, b) => a.works.size - b.works.size);
    const [best] = byLoad;
    if (!best || (best.works.size > 0 && byLoad.length < this.#most)) return this.#start();
    clearTimeout(best.idle);
    best.worker.ref();
    return best;
  }

  #start(): PoolThread<Out> {
    const worker = new Worker(this.#script, { execArgv: [], env: {} });
    const thread: PoolThread<Out> = { worker, works: new Map(), idle: undefined };
    this.#threads.add(thread);
    const fail = (error: Error): void => {
      this.#end(thread);
      for (const { failed } of thread.works.values()) failed(error);
    };
    worker.on('message', ({ work, message }: FromThread<Out>) => thread.works.get(work)?.message(message));
    worker.once('error', fail);
    worker.once('exit', () => fail(new CodedError('THREAD_ENDED', 'the thread has ended before its work was done')));
    return thread;
  }

  #end(thread: PoolThread<Out>): void {
    if (!this.#threads.delete(thread)) return;
    clearTimeout(thread.idle);
    void thread.worker.terminate();
  }

  #release(thread: PoolThread<Out>): void {
    if (thread.works.size > 0 || !this.#threads.has(thread)) return;
    const idle = [...this.#threads].filter(({ works }) => works.size === 0);
    if (idle.length > MOST_IDLE) {
      this.#end(thread);
      return;
    }
    thread.worker.unref();
    thread.idle = setTimeout(() => this.#end(thread), IDLE_MS).unref();
  }
}

/** Each piece of work has a thread for itself. */
export const createThreads = <In, Out>(script: URL): Threads<In, Out> =>
  new Pool<In, Out>(script, Number.POSITIVE_INFINITY).run;

/**
 * No more than so many threads, each for as much work at once as there is: for work that waits most of the time. A thread
 * that breaks fails all that it does.
 */
export const createSharedThreads = <In, Out>(script: URL, most: number): SharedThreads<In, Out> =>
  new Pool<In, Out>(script, most).run;
