/** What waits for its turn: sender by sender, each sender's in order, and only so much. */
export interface WaitingLimits {
  readonly inAll: number;
  readonly ofOne: number;
}

export interface Waiting<T> {
  /** `false`: too many wait already. */
  add(sender: string, item: T): boolean;
  remove(sender: string, item: T): void;
  /** The next one of a sender that `may` begin. */
  next(may: (sender: string) => boolean): { readonly sender: string; readonly item: T } | undefined;
  readonly size: number;
}

export function createWaiting<T>({ inAll, ofOne }: WaitingLimits): Waiting<T> {
  /** In the order in which senders are served. */
  const queues = new Map<string, T[]>();
  let size = 0;
  return {
    add(sender, item) {
      const queue = queues.get(sender) ?? [];
      if (size >= inAll || queue.length >= ofOne) return false;
      queue.push(item);
      queues.set(sender, queue);
      size += 1;
      return true;
    },
    remove(sender, item) {
      const queue = queues.get(sender) ?? [];
      const left = queue.filter((one) => one !== item);
      size -= queue.length - left.length;
      if (left.length > 0) queues.set(sender, left);
      else queues.delete(sender);
    },
    next(may) {
      for (const [sender, queue] of queues) {
        const [item, ...rest] = queue;
        if (item === undefined || !may(sender)) continue;
        queues.delete(sender);
        if (rest.length > 0) queues.set(sender, rest);
        size -= 1;
        return { sender, item };
      }
      return undefined;
    },
    get size() {
      return size;
    },
  };
}
