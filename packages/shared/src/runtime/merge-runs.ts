/**
 * One run at a time, for what many ask for at once: all calls during a run are served by one more run behind it, which
 * began after them. Resolves or rejects as that run does.
 */
export function mergeRuns(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const begin = (): Promise<void> => {
    running = run().finally(() => {
      running = undefined;
    });
    return running;
  };
  return () => {
    if (!running) return begin();
    next ??= running
      .catch(() => undefined)
      .then(() => {
        next = undefined;
        // A run that another call has begun in between began after this call, too.
        return running ?? begin();
      });
    return next;
  };
}
