/** Collects what has to be cleaned up at the end: a test of tap is one, and so is what `createCleanup` makes. */
export interface Cleanup {
  teardown(clean: () => unknown): void;
}

/** Cleans up newest first; one failure does not keep the others from it and is thrown at the end. */
export function createCleanup(): Cleanup & { end(): Promise<void> } {
  const cleaners: (() => unknown)[] = [];
  return {
    teardown(clean) {
      cleaners.push(clean);
    },
    async end() {
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
