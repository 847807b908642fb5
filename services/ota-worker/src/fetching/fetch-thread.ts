/** The thread behind `fetchInThread`: several fetches at once. */
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { FetchError } from '@khumbu/steps/firmware-update/fetch-error';
import { serveWork } from '../threads/serve-work.js';
import { fetchImage } from './fetch-image.js';
import type { FromFetchThread, ToFetchThread } from './fetch-in-thread.js';
import type { GrowingPart } from './fetch-options.js';
import { createStoreOfParent } from './store-of-parent.js';
import { createThreadLimiter, type ThreadLimiter } from './thread-limiter.js';

const PROGRESS_MS = 100;

type Order = Extract<ToFetchThread, { kind: 'fetch' }>;

/** One fetch: its order comes first. */
function beginFetch(post: (message: FromFetchThread) => void): (message: ToFetchThread) => void {
  const aborter = new AbortController();
  let freed: ((bytes: number) => void) | undefined;
  let limiter: ThreadLimiter | undefined;
  const parent = createStoreOfParent(post);
  const makeRoom = (bytes: number): Promise<number> =>
    new Promise((resolve) => {
      freed = resolve;
      post({ kind: 'makeRoom', bytes });
    });

  const fetch = async ({ options: plain, rules }: Order): Promise<void> => {
    const { hasStore, isMetered, pieceBytes, ...options } = plain;
    if (isMetered) limiter = createThreadLimiter(post, pieceBytes);
    // The clock of a thread begins with it: the first piece is always told.
    let postedAt = Number.NEGATIVE_INFINITY;
    const onProgress = (bytes: number, total: number | undefined): void => {
      const now = performance.now();
      if (now - postedAt < PROGRESS_MS && bytes !== total) return;
      postedAt = now;
      post({ kind: 'progress', bytes, total });
    };
    const onPart = (part: GrowingPart): void => post({ kind: 'part', part });
    try {
      const policy = createLocationPolicy(rules);
      const objects = hasStore ? parent.store : undefined;
      const { signal } = aborter;
      const own = { policy, objects, limiter, signal, onProgress, onPart, makeRoom };
      const result = await fetchImage({ ...options, ...own });
      limiter?.end();
      post({ kind: 'done', result });
    } catch (error) {
      limiter?.end();
      const { code = 'ERR_UNKNOWN', message } = error as NodeJS.ErrnoException;
      const { reason, retryAfterS } = error instanceof FetchError ? error : {};
      const more = {
        ...(reason === undefined ? {} : { reason }),
        ...(retryAfterS === undefined ? {} : { retryAfterS }),
      };
      post({ kind: 'failed', code: String(code), message, ...more });
    }
  };

  return (message) => {
    if (message.kind === 'abort') aborter.abort();
    else if (message.kind === 'freed') freed?.(message.bytes);
    else if (message.kind === 'granted') limiter?.granted(message.bytes);
    else if (message.kind === 'signedUrl') parent.answered(message);
    else void fetch(message);
  };
}

serveWork(beginFetch);
