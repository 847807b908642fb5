/**
 * A deadline in the time in which this process works. While it stands still (code is loaded, the machine is busy, it was
 * frozen), nothing that has come in the meantime could have been looked at: a timer alone would end it unseen.
 */

/** It is looked at this often; of a longer pause no more than twice as much counts. */
const STEP_MS = 50;

/**
 * Calls `onEnd` after so many milliseconds of work, and after `atMostMs` in any case, as soon as it works again. Returns how
 * to call it off; safe to repeat.
 */
export function afterWorking(ms: number, atMostMs: number, onEnd: () => void): () => void {
  const began = performance.now();
  let leftMs = ms;
  let lookedAt = began;
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    const now = performance.now();
    leftMs -= Math.min(now - lookedAt, 2 * STEP_MS);
    lookedAt = now;
    if (leftMs <= 0 || now - began >= atMostMs) onEnd();
    else timer = setTimeout(look, Math.min(STEP_MS, leftMs));
  };
  timer = setTimeout(look, Math.min(STEP_MS, ms));
  return () => clearTimeout(timer);
}
