/**
 * Long work in short pieces. The thread that answers stations also reads for REST, so work on a long list lets the event
 * loop turn between two pieces.
 */

/** Await it between two pieces of work that are each a fraction of a millisecond. */
export type EventLoopTurn = () => Promise<void>;

/** For all work of one process: however much of it there is, one piece is done in each turn of the event loop. */
export function createEventLoopTurn(): EventLoopTurn {
  const waiting: (() => void)[] = [];
  let first = 0;
  const next = (): void => {
    const resume = waiting[first];
    first += 1;
    if (first < waiting.length) setImmediate(next);
    else {
      waiting.length = 0;
      first = 0;
    }
    resume?.();
  };
  return () =>
    new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (waiting.length === 1) setImmediate(next);
    });
}
