/** Read a whole image file, in a thread of its own: a service must go on meanwhile. */
import { Worker } from 'node:worker_threads';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { ImageFacts } from './image-facts.js';

export type FromReadingThread =
  | { readonly kind: 'done'; readonly facts: ImageFacts }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

const SCRIPT = new URL('./reading-thread.js', import.meta.url);

/** Rejects with the system's code, or with the signal's reason when aborted. */
export async function readImageFacts(path: string, signal: AbortSignal): Promise<ImageFacts> {
  signal.throwIfAborted();
  const worker = new Worker(SCRIPT, { workerData: path, execArgv: [], env: {} });
  const stop = (): void => void worker.terminate();
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await new Promise<ImageFacts>((resolve, reject) => {
      worker.on('message', (message: FromReadingThread) => {
        if (message.kind === 'done') resolve(message.facts);
        else reject(Object.assign(new Error(message.message), { code: message.code }));
      });
      worker.on('error', reject);
      worker.on('exit', () => reject(new CodedError('IMAGE_THREAD_ENDED', 'the reading thread has ended')));
    });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    await worker.terminate();
  }
}
