/** Whose message is worked on next: so many at once, and so many of one sender; those that wait are taken sender by sender. */
import { FairQueue } from '@khumbu/shared/runtime/fair-queue';

export function createSenderQueue({ atOnce, perSender }: { readonly atOnce: number; readonly perSender: number }) {
  const waiting = new FairQueue<() => void>();
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
    while (total < atOnce) {
      const go = waiting.next(mayBegin);
      if (!go) return;
      go();
    }
  };

  return {
    /** Settles as the work does. Work that only waits from now on may `leave` its place to others. */
    async take(sender: string, work: (leave: () => void) => Promise<void> | void): Promise<void> {
      if (mayBegin(sender)) begin(sender);
      else
        await new Promise<void>((resolve) => {
          waiting.add(sender, () => {
            begin(sender);
            resolve();
          });
        });
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
    waitingOf: (sender: string): number => waiting.sizeOf(sender),
  };
}
