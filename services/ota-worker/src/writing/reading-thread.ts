/** The thread behind `readImageFacts`: one file after the other. */
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { ImageFacts } from '@khumbu/steps/firmware-update/image-ports';
import { FactFinder } from './image-facts.js';
import type { FromReadingThread } from './read-image.js';

const piece = Buffer.allocUnsafe(256 * 1024);
const post = (message: FromReadingThread): void => parentPort?.postMessage(message);

function readFacts(path: string): ImageFacts {
  const finder = new FactFinder();
  const fd = openSync(path, 'r');
  try {
    for (let length = readSync(fd, piece); length > 0; length = readSync(fd, piece))
      finder.feed(piece.subarray(0, length));
  } finally {
    closeSync(fd);
  }
  return finder.facts();
}

parentPort?.on('message', (path: string) => {
  try {
    post({ kind: 'done', facts: readFacts(path) });
  } catch (error) {
    const { code = 'ERR_UNKNOWN', message } = error as NodeJS.ErrnoException;
    post({ kind: 'failed', code, message });
  }
});
