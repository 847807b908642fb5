/** The thread behind `fetchInThread`. */
import { parentPort, workerData } from 'node:worker_threads';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { FetchError } from './fetch-error.js';
import { fetchImage } from './fetch-image.js';
import type { FetchThreadData, FromFetchThread, ToFetchThread } from './fetch-in-thread.js';

const PROGRESS_MS = 100;

const { options, rules } = workerData as FetchThreadData;
const aborter = new AbortController();
let freed: ((bytes: number) => void) | undefined;
let toldAt = 0;
const tell = (message: FromFetchThread): void => parentPort?.postMessage(message);

parentPort?.on('message', (message: ToFetchThread) => {
  if (message.kind === 'abort') aborter.abort();
  else freed?.(message.bytes);
});

const onProgress = (bytes: number, total: number | undefined): void => {
  const now = performance.now();
  if (now - toldAt < PROGRESS_MS && bytes !== total) return;
  toldAt = now;
  tell({ kind: 'progress', bytes, total });
};

const makeRoom = (bytes: number): Promise<number> =>
  new Promise((resolve) => {
    freed = resolve;
    tell({ kind: 'makeRoom', bytes });
  });

try {
  const policy = createLocationPolicy(rules);
  const result = await fetchImage({ ...options, policy, signal: aborter.signal, onProgress, makeRoom });
  tell({ kind: 'done', result });
} catch (error) {
  const { code = 'ERR_UNKNOWN', message } = error as NodeJS.ErrnoException;
  const { reason, retryAfterS } = error instanceof FetchError ? error : {};
  const more = { ...(reason === undefined ? {} : { reason }), ...(retryAfterS === undefined ? {} : { retryAfterS }) };
  tell({ kind: 'failed', code: String(code), message, ...more });
}
