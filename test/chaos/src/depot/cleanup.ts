/** Collects what has to be cleaned up at the end: a test of tap is one, and so is what `createCleanup` makes. */
export interface Cleanup {
  teardown(clean: () => unknown): void;
}

/**
 * Cleans up newest first; one failure does not keep the others from it and is thrown at the end. What is added later, as by what was
 * still starting when the rest had failed, is cleaned up at once: a server that is left open keeps the process from its end.
 */
export function createCleanup(): Cleanup & { end(): Promise<void> } {
  const cleaners: (() => unknown)[] = [];
  let isOver = false;
  return {
    teardown(clean) {
      if (isOver) void clean();
      else cleaners.push(clean);
    },
    async end() {
      isOver = true;
      const failures: unknown[] = [];
      for (let clean = cleaners.pop(); clean; clean = cleaners.pop()) {
        try {
          await clean();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw new AggregateError(failures, 'not everything could be cleaned up');
    },
  };
}
