/** Work with the same key is done one after the other, everything else beside each other. A failed turn does not stop the next. */
export type KeyedQueue = ReturnType<typeof createKeyedQueue>;

export function createKeyedQueue() {
  const last = new Map<string, Promise<unknown>>();
  return {
    run<T>(key: string, work: () => Promise<T>): Promise<T> {
      const turn = (last.get(key) ?? Promise.resolve()).then(work, work);
      last.set(key, turn);
      const leave = (): void => {
        if (last.get(key) === turn) last.delete(key);
      };
      turn.then(leave, leave);
      return turn;
    },
  };
}
