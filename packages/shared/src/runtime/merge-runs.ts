/**
 * One run at a time, for what many ask for at once: whoever asks while one goes on is served by one more behind it, which
 * began after the question, however many ask. Resolves or rejects as that run does.
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
        // One that somebody has begun in between began after the question, too.
        return running ?? begin();
      });
    return next;
  };
}
