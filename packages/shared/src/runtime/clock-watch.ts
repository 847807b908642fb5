/**
 * Detects that the clock of this host was set: the date goes on by more or less than the monotonic clock. A clock
 * that is drawn slowly (slewed) is no jump.
 */
import { performance } from 'node:perf_hooks';

/** A smaller difference is ignored. */
export const JUMP_MS = 2000;
const LOOK_EVERY_MS = 1000;

export interface Reading {
  readonly wall: number;
  readonly mono: number;
}

/** By how much the date went on without time passing; 0 for what is no jump. Pure. */
export function jumpBetween(before: Reading, after: Reading): number {
  const byMs = after.wall - before.wall - (after.mono - before.mono);
  return Math.abs(byMs) > JUMP_MS ? byMs : 0;
}

const readClocks = (): Reading => ({ wall: Date.now(), mono: performance.now() });

/** Calls `onJump` within a second of every jump, with its milliseconds (negative: back), until the returned function is called. */
export function watchClock(onJump: (byMs: number) => void, read: () => Reading = readClocks): () => void {
  let last = read();
  const timer = setInterval(() => {
    const next = read();
    const byMs = jumpBetween(last, next);
    last = next;
    if (byMs !== 0) onJump(Math.round(byMs));
  }, LOOK_EVERY_MS).unref();
  return () => clearInterval(timer);
}
