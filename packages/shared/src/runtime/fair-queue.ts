/**
 * Items that wait, sender by sender: each sender's items in order, the senders in turn. One that adds a thousand delays an
 * item of another by one.
 */
export class FairQueue<T> {
  /** In the order in which senders are served. */
  readonly #queues = new Map<string, T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  sizeOf(sender: string): number {
    return this.#queues.get(sender)?.length ?? 0;
  }

  add(sender: string, item: T): void {
    const queue = this.#queues.get(sender) ?? [];
    queue.push(item);
    this.#queues.set(sender, queue);
    this.#size += 1;
  }

  /** Take the next item of a sender that `may` be served; that sender's turn comes again after all others. */
  next(may: (sender: string) => boolean = () => true): T | undefined {
    for (const [sender, queue] of this.#queues) {
      if (!may(sender)) continue;
      this.#queues.delete(sender);
      const item = queue.shift();
      if (queue.length > 0) this.#queues.set(sender, queue);
      this.#size -= 1;
      return item;
    }
    return undefined;
  }

  /** Take the items out for which this holds, wherever they stand. */
  removeWhere(isToGo: (item: T) => boolean): T[] {
    const removed: T[] = [];
    for (const [sender, queue] of this.#queues) {
      const gone = queue.filter(isToGo);
      if (gone.length === 0) continue;
      removed.push(...gone);
      const left = queue.filter((item) => !gone.includes(item));
      if (left.length > 0) this.#queues.set(sender, left);
      else this.#queues.delete(sender);
    }
    this.#size -= removed.length;
    return removed;
  }
}
