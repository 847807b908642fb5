/**
 * How much of a download is put into the object store at once. A slow line has a piece as soon as it is worth a request; one that
 * brings more meanwhile has larger pieces, so that there are two a second at most. What a killed worker takes along is what came
 * since its last piece: half a second of the line, or 256 KiB.
 */

const LEAST_BYTES = 256 * 1024;
/** A put without parts: more would be an upload in parts, which is invisible until it is whole. */
export const MOST_BYTES = 8 * 1024 * 1024;
const PAUSE_MS = 500;

/** How soon to look again. */
export const LOOK_MS = 100;

/** `unkept`: bytes since the last piece; `ms`: since that was begun. How many go into the next one; 0: none yet. Pure. */
export function nextPiece(unkept: number, ms: number): number {
  const isDue = unkept >= MOST_BYTES || (unkept >= LEAST_BYTES && ms >= PAUSE_MS);
  return isDue ? Math.min(unkept, MOST_BYTES) : 0;
}
