/** The thread behind `readImageFacts`: one file after the other. */
import { closeSync, openSync, readSync } from 'node:fs';
import type { ImageFacts } from '@khumbu/steps/firmware-update/image-ports';
import { serveWork } from '../threads/serve-work.js';
import { FactFinder } from './image-facts.js';
import type { FromReadingThread } from './read-image.js';

const piece = Buffer.allocUnsafe(256 * 1024);

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

serveWork<string, FromReadingThread>((post) => (path) => {
  try {
    post({ kind: 'done', facts: readFacts(path) });
  } catch (error) {
    const { code = 'ERR_UNKNOWN', message } = error as NodeJS.ErrnoException;
    post({ kind: 'failed', code, message });
  }
});
