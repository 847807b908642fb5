/** Pauses between the tries of a delivery. */

/** Also of what a receiver asks for by its Retry-After: more events may come meanwhile than are kept. */
export const LONGEST_MS = 15 * 60_000;
const SPREAD = 0.2;

/** After so many tries that failed: doubled each time up to a quarter of an hour, a fifth more or less, so that receivers are not met by all at once. */
export function backoffMs(made: number, firstMs: number, random: () => number = Math.random): number {
  const plain = Math.min(firstMs * 2 ** Math.min(made - 1, 30), LONGEST_MS);
  return Math.round(plain * (1 - SPREAD + 2 * SPREAD * random()));
}
