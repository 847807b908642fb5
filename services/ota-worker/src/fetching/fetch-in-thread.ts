/**
 * A fetch in a thread of its own. The buffers of a download pass the garbage collector by the gigabyte, and each time it
 * looks at all that a thread holds: a service holds much, a thread made for one fetch next to nothing.
 */
import { Worker } from 'node:worker_threads';
import type { LocationRules } from '@khumbu/shared/locations/policy';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { FetchError, type FetchReason } from './fetch-error.js';
import type { FetchOptions, FetchResult } from './fetch-image.js';

/** What can go from thread to thread as it is. */
export type PlainFetchOptions = Omit<FetchOptions, 'policy' | 'signal' | 'onProgress' | 'makeRoom'>;

export interface ThreadFetchOptions
  extends PlainFetchOptions,
    Pick<FetchOptions, 'signal' | 'onProgress' | 'makeRoom'> {
  readonly rules: LocationRules;
}

export interface FetchThreadData {
  readonly options: PlainFetchOptions;
  readonly rules: LocationRules;
}

export type ToFetchThread = { readonly kind: 'abort' } | { readonly kind: 'freed'; readonly bytes: number };

export type FromFetchThread =
  | { readonly kind: 'progress'; readonly bytes: number; readonly total: number | undefined }
  /** Answered by `freed`. */
  | { readonly kind: 'makeRoom'; readonly bytes: number }
  | { readonly kind: 'done'; readonly result: FetchResult }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly message: string;
      /** Of a `FetchError`. */
      readonly reason?: FetchReason;
      readonly retryAfterS?: number;
    };

const SCRIPT = new URL('./fetch-thread.js', import.meta.url);

function errorOf({ code, message, reason, retryAfterS }: Extract<FromFetchThread, { kind: 'failed' }>): Error {
  if (reason === undefined) return new CodedError(code, message);
  return new FetchError(code === 'FETCH_RETRYABLE', reason, message, { retryAfterS });
}

/** Like `fetchImage`, which it is; progress is told a few times a second. */
export async function fetchInThread({
  rules,
  signal,
  onProgress,
  makeRoom,
  ...options
}: ThreadFetchOptions): Promise<FetchResult> {
  signal.throwIfAborted();
  const workerData: FetchThreadData = { options, rules };
  const worker = new Worker(SCRIPT, { workerData, execArgv: [], env: {} });
  const tell = (message: ToFetchThread): void => worker.postMessage(message);
  // It closes what it holds before it says that it has failed.
  const abort = (): void => tell({ kind: 'abort' });
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await new Promise<FetchResult>((resolve, reject) => {
      worker.on('message', (message: FromFetchThread) => {
        if (message.kind === 'done') resolve(message.result);
        else if (message.kind === 'failed') reject(errorOf(message));
        else if (message.kind === 'progress') onProgress?.(message.bytes, message.total);
        else (makeRoom?.(message.bytes) ?? Promise.resolve(0)).then((bytes) => tell({ kind: 'freed', bytes }), reject);
      });
      worker.on('error', reject);
      worker.on('exit', () => reject(new CodedError('FETCH_THREAD_ENDED', 'the thread of the fetch has ended')));
    });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    await worker.terminate();
  }
}
