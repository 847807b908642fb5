/** How long the event loop of this process is kept by one piece of work. */
import { existsSync, readFileSync } from 'node:fs';

/** Of the thread of the event loop alone, in nanoseconds as Linux counts it: threads beside it run when they like. */
const SCHEDSTAT = `/proc/self/task/${process.pid}/schedstat`;
const ofThread = (): number => Number.parseInt(readFileSync(SCHEDSTAT, 'latin1'), 10) / 1e6;
const ofProcess = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const cpuMs = existsSync(SCHEDSTAT) ? ofThread : ofProcess;

/**
 * Processor time of each turn of the event loop, in milliseconds: that is what a station's message waits for. Not the time
 * on the wall, which other processes take as they like.
 */
export function watchTurns(): { stop: () => number[] } {
  const took: number[] = [];
  let isOver = false;
  let before = cpuMs();
  const look = (): void => {
    const now = cpuMs();
    took.push(now - before);
    before = now;
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
