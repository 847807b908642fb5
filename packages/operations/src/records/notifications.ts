/**
 * Notifications make things quick: an outbox has something to send, an operation is to stop. A lost hint delays and never
 * breaks anything, because every process also polls from time to time.
 */
import type { Redis } from 'ioredis';
import type { Keys } from './keys.js';

export type HintKind = 'outbox' | 'cancel';

export type Notifications = Awaited<ReturnType<typeof subscribeNotifications>>;

/** `redis` is a connection of its own: a subscribed connection does nothing else. */
export async function subscribeNotifications(redis: Redis, keys: Keys) {
  const listeners: Record<HintKind, Set<(subject: string) => void>> = { outbox: new Set(), cancel: new Set() };
  redis.on('message', (_channel, message: string) => {
    const space = message.indexOf(' ');
    const kind = message.slice(0, space);
    if (kind !== 'outbox' && kind !== 'cancel') return;
    for (const listener of listeners[kind]) listener(message.slice(space + 1));
  });
  await redis.subscribe(keys.notifications);
  return {
    /** Returns what ends the subscription. */
    on(kind: HintKind, listener: (subject: string) => void): () => void {
      listeners[kind].add(listener);
      return () => listeners[kind].delete(listener);
    },
    close: (): void => redis.disconnect(),
  };
}
