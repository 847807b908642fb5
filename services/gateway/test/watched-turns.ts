/** How long the event loop of this process is kept by one piece of work. */

/**
 * Processor time of each turn of the event loop, in milliseconds: that is what a station's message waits for. Not the time
 * on the wall, which other processes take as they like.
 */
export function watchTurns(): { stop: () => number[] } {
  const took: number[] = [];
  let isOver = false;
  let before = process.cpuUsage();
  const look = (): void => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    took.push((user + system) / 1000);
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  return {
    stop() {
      isOver = true;
      return took;
    },
  };
}

/** A turn that a station would notice. Pieces of work are planned to be of a millisecond. */
const LONG_MS = 20;

/** Milliseconds of all the turns that were long. */
export const inLongTurns = (took: readonly number[]): number =>
  took.filter((ms) => ms > LONG_MS).reduce((sum, ms) => sum + ms, 0);
