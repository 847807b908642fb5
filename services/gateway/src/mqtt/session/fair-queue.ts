/**
 * Who is worked for next. So many messages are worked on at once, and so many of one sender; those that wait are taken
 * in turn, sender by sender, each sender's in order: one that sends a thousand delays another's by one of them.
 */
export interface QueueLimits {
  readonly atOnce: number;
  readonly perSender: number;
}

export function createFairQueue({ atOnce, perSender }: QueueLimits) {
  /** In the order in which senders are served. */
  const waiting = new Map<string, (() => void)[]>();
  const open = new Map<string, number>();
  let total = 0;

  const mayBegin = (sender: string): boolean => total < atOnce && (open.get(sender) ?? 0) < perSender;
  const begin = (sender: string): void => {
    total++;
    open.set(sender, (open.get(sender) ?? 0) + 1);
  };
  const end = (sender: string): void => {
    total--;
    const left = (open.get(sender) ?? 1) - 1;
    if (left === 0) open.delete(sender);
    else open.set(sender, left);
    for (const [next, queue] of waiting) {
      if (total >= atOnce) return;
      if (!mayBegin(next)) continue;
      waiting.delete(next);
      const go = queue.shift();
      if (queue.length > 0) waiting.set(next, queue);
      begin(next);
      go?.();
    }
  };

  return {
    /** Settles as the work does. Work that only waits from now on may `leave` its place to others. */
    async take(sender: string, work: (leave: () => void) => Promise<void> | void): Promise<void> {
      if (mayBegin(sender)) begin(sender);
      else {
        await new Promise<void>((resolve) => {
          const queue = waiting.get(sender);
          if (queue) queue.push(resolve);
          else waiting.set(sender, [resolve]);
        });
      }
      let isOver = false;
      const leave = (): void => {
        if (!isOver) end(sender);
        isOver = true;
      };
      try {
        await work(leave);
      } finally {
        leave();
      }
    },
    /** How many messages of the sender wait. */
    waitingOf: (sender: string): number => waiting.get(sender)?.length ?? 0,
  };
}
