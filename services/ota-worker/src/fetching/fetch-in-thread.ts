/**
 * A fetch in another thread. The buffers of a download pass the garbage collector by the gigabyte, and each time it looks
 * at all that a thread holds: a service holds much, a thread that only fetches next to nothing.
 */
import type { WanMeter } from '@khumbu/operations/wan/wan-meter';
import type { LocationRules } from '@khumbu/shared/locations/policy';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { FetchError, type FetchReason } from '@khumbu/steps/firmware-update/fetch-error';
import type { Downloaded } from '@khumbu/steps/firmware-update/image-ports';
import { createSharedThreads } from '../threads/threads.js';
import type { FetchOptions, GrowingPart } from './fetch-options.js';
import { type SignedUrl, type SignUrl, signUrl } from './store-of-parent.js';
import type { Granted, Received } from './thread-limiter.js';

/** What can go from thread to thread as it is. */
export type PlainFetchOptions = Omit<
  FetchOptions,
  'policy' | 'signal' | 'onProgress' | 'onPart' | 'makeRoom' | 'objects' | 'limiter'
> & {
  /** What comes is reported to the parent. */
  readonly isMetered: boolean;
  /** What comes waits for its turn, in pieces of so many bytes. */
  readonly pieceBytes?: number;
  /** There is an object store, and the parent signs its URLs. */
  readonly hasStore: boolean;
};

export interface ThreadFetchOptions
  extends Omit<PlainFetchOptions, 'hasStore' | 'isMetered' | 'pieceBytes'>,
    Pick<FetchOptions, 'signal' | 'onProgress' | 'onPart' | 'makeRoom' | 'objects'> {
  readonly rules: LocationRules;
  /** What comes over the WAN passes it; none for what does not. */
  readonly meter?: Pick<WanMeter, 'pieceBytes' | 'count' | 'slice'>;
}

export type ToFetchThread =
  | { readonly kind: 'fetch'; readonly options: PlainFetchOptions; readonly rules: LocationRules }
  | { readonly kind: 'abort' }
  | { readonly kind: 'freed'; readonly bytes: number }
  | Granted
  | SignedUrl;

export type FromFetchThread =
  | { readonly kind: 'progress'; readonly bytes: number; readonly total: number | undefined }
  | { readonly kind: 'part'; readonly part: GrowingPart }
  /** Answered by `freed`. */
  | { readonly kind: 'makeRoom'; readonly bytes: number }
  | Received
  | SignUrl
  | { readonly kind: 'done'; readonly result: Downloaded }
  | {
      readonly kind: 'failed';
      readonly code: string;
      readonly message: string;
      /** Of a `FetchError`. */
      readonly reason?: FetchReason;
      readonly retryAfterS?: number;
    };

/** For all fetches of this process: one thread writes and hashes faster than lines bring, and each takes 25 MB. */
const MOST_THREADS = 1;
const SCRIPT = new URL('./fetch-thread.js', import.meta.url);
const runInThread = createSharedThreads<ToFetchThread, FromFetchThread>(SCRIPT, MOST_THREADS);

function errorOf(
  { code, message, reason, retryAfterS }: Extract<FromFetchThread, { kind: 'failed' }>,
  cause: unknown,
): Error {
  if (reason === undefined) return new CodedError(code, message);
  return new FetchError(code === 'FETCH_RETRYABLE', reason, message, { retryAfterS, cause });
}

/** `fetchImage` in a thread; progress is reported a few times a second. */
export function fetchInThread({
  rules,
  signal,
  onProgress,
  onPart,
  makeRoom,
  objects,
  meter,
  ...plain
}: ThreadFetchOptions): Promise<Downloaded> {
  const { key } = plain;
  const options: PlainFetchOptions = {
    ...plain,
    hasStore: objects !== undefined,
    isMetered: meter !== undefined,
    ...(meter?.pieceBytes === undefined ? {} : { pieceBytes: meter.pieceBytes }),
  };
  /** Why no room could be made. */
  let cause: unknown;
  const free = async (bytes: number): Promise<number> => {
    try {
      return (await makeRoom?.(bytes)) ?? 0;
    } catch (error) {
      // The fetch ends for want of room and tidies up, which a thread that is ended could not.
      cause = error;
      return 0;
    }
  };
  /** Its turn comes. An abort ends the wait; the thread hears of it as well. */
  const turn = async (): Promise<number> => {
    try {
      return (await meter?.slice(signal)) ?? 0;
    } catch (error) {
      if (signal.aborted) return 0;
      throw error;
    }
  };
  return runInThread<Downloaded>({
    request: { kind: 'fetch', options, rules },
    signal,
    // It closes its files before it posts that it has failed.
    abort: { kind: 'abort' },
    onMessage(message, { post }) {
      if (message.kind === 'done') return { result: message.result };
      if (message.kind === 'failed') throw errorOf(message, cause);
      if (message.kind === 'progress') onProgress?.(message.bytes, message.total);
      else if (message.kind === 'part') onPart?.(message.part);
      else if (message.kind === 'makeRoom') void free(message.bytes).then((bytes) => post({ kind: 'freed', bytes }));
      else if (message.kind === 'received') {
        meter?.count('down', message.bytes, key);
        if (message.waits) void turn().then((bytes) => post({ kind: 'granted', bytes }));
      } else if (objects) void signUrl(objects, message, signal).then(post);
      return undefined;
    },
  });
}
