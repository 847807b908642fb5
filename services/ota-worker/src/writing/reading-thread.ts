/** The thread behind `readImageFacts`. */
import { openSync, readSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { FactFinder } from './image-facts.js';
import type { FromReadingThread } from './read-image.js';

const PIECE_BYTES = 256 * 1024;

const tell = (message: FromReadingThread): void => parentPort?.postMessage(message);

try {
  const finder = new FactFinder();
  // Closed when the thread ends.
  const fd = openSync(workerData as string, 'r');
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  for (let length = readSync(fd, piece); length > 0; length = readSync(fd, piece))
    finder.feed(piece.subarray(0, length));
  tell({ kind: 'done', facts: finder.facts() });
} catch (error) {
  const { code = 'ERR_UNKNOWN', message } = error as NodeJS.ErrnoException;
  tell({ kind: 'failed', code, message });
}
