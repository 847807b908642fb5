/** The thread behind an `ImageWriter`: writes what comes through the ring and reads it in the same go. */
import { createHash } from 'node:crypto';
import { readSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { MarkFinder } from '../images/mark-finder.js';
import type { FromThread, ThreadData } from './image-writer.js';
import { Ring } from './ring.js';

const PIECE_BYTES = 256 * 1024;

const { fd, size, ring: shared } = workerData as ThreadData;
const ring = new Ring(shared);
const hash = createHash('sha256');
const marks = new MarkFinder();
const tell = (message: FromThread): void => parentPort?.postMessage(message);

function look(bytes: Buffer): void {
  hash.update(bytes);
  marks.feed(bytes);
}

function readWhatIsThere(): void {
  const piece = Buffer.allocUnsafe(PIECE_BYTES);
  for (let at = 0; at < size; ) {
    const length = readSync(fd, piece, 0, Math.min(piece.length, size - at), at);
    if (length === 0) throw Object.assign(new Error('the file is shorter than it was'), { code: 'EIO' });
    look(piece.subarray(0, length));
    at += length;
  }
}

function writeWhatComes(): void {
  let at = size;
  for (let taken = ring.take(); taken !== undefined; taken = ring.take()) {
    const bytes = Buffer.from(taken.buffer, taken.byteOffset, taken.byteLength);
    const written = writeSync(fd, bytes, 0, bytes.length, at);
    look(bytes.subarray(0, written));
    at += written;
    if (ring.release(written)) tell({ kind: 'room' });
  }
}

try {
  readWhatIsThere();
  writeWhatComes();
  const metadataAt = marks.found;
  tell({ kind: 'done', facts: { sha256: hash.digest('hex'), ...(metadataAt === undefined ? {} : { metadataAt }) } });
} catch (error) {
  const { code = 'ERR_UNKNOWN', message } = error as NodeJS.ErrnoException;
  tell({ kind: 'failed', code, message });
}
