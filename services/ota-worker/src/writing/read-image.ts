/** Read a whole image file, in another thread: a service must go on meanwhile. */
import type { ImageFacts } from '@khumbu/steps/firmware-update/image-ports';
import { createThreads } from '../threads/threads.js';

export type FromReadingThread =
  | { readonly kind: 'done'; readonly facts: ImageFacts }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string };

/** Its order is a path. */
const runInThread = createThreads<string, FromReadingThread>(new URL('./reading-thread.js', import.meta.url));

/** Rejects with the system's code, or with the signal's reason when aborted. */
export function readImageFacts(path: string, signal: AbortSignal): Promise<ImageFacts> {
  return runInThread<ImageFacts>({
    request: path,
    signal,
    onMessage(message) {
      if (message.kind === 'done') return { result: message.facts };
      throw Object.assign(new Error(message.message), { code: message.code });
    },
  });
}
