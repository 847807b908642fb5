/** What takes long says that it goes on. */

const STILL_MS = 10_000;

export type Say = (line: string) => void;

/** Seconds for people. */
const secondsSince = (start: number): string => `${Math.round((performance.now() - start) / 1000)} s`;

/** Do the work, and while it lasts say every few seconds what it is at and for how long. Settles as the work does. */
export async function tellWhile<T>(
  say: Say,
  stillDoing: () => string,
  work: Promise<T>,
  everyMs = STILL_MS,
): Promise<T> {
  const start = performance.now();
  const timer = setInterval(() => say(`${stillDoing()} (${secondsSince(start)}) ...`), everyMs);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
