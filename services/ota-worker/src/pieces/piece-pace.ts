/**
 * How much of a download is put into the object store at once. A slow line has a piece as soon as it is worth a request; one that
 * brings more meanwhile has larger pieces: two a second up to 2 MB/s, and one for each MiB of faster lines. What a killed worker
 * takes along is what came since its last piece: half a second of the line, or 256 KiB.
 */

const LEAST_BYTES = 256 * 1024;
/** It is held in memory, and hashed by the thread that serves all. */
export const MOST_BYTES = 1024 * 1024;
const PAUSE_MS = 500;

/** How soon to look again. */
export const LOOK_MS = 100;

/** `unkept`: bytes since the last piece; `ms`: since that was begun. How many go into the next one; 0: none yet. Pure. */
export function nextPiece(unkept: number, ms: number): number {
  const isDue = unkept >= MOST_BYTES || (unkept >= LEAST_BYTES && ms >= PAUSE_MS);
  return isDue ? Math.min(unkept, MOST_BYTES) : 0;
}

/** A store that is slower than this is slower than most lines. */
const LEAST_BYTES_PER_S = 64 * 1024;
const GRACE_MS = 2000;

/** How long a piece may be on its way to the store, or from there. Pure. */
export const longestMs = (bytes: number): number => GRACE_MS + (bytes / LEAST_BYTES_PER_S) * 1000;
