/**
 * Notifications make things quick: an outbox has something to send, an operation is to stop. A lost notification delays and never
 * breaks anything, because every process also polls from time to time.
 */
import type { Redis } from 'ioredis';
import type { Keys } from './keys.js';

/**
 * `observe`: a station's host is to be looked at now. `certificates`: its certificate store is to be asked, QUESTION STATION.
 * `wan`: what keeps downloads has changed. `webhook`: one has changed, or has something to send. `frames`: a gateway asks the leader for
 * the MQTT frames of a station, ID STATION; if the notification is lost there is no answer, and the question is asked again.
 */
const NOTIFICATION_KINDS = ['outbox', 'cancel', 'observe', 'certificates', 'wan', 'webhook', 'frames'] as const;
export type NotificationKind = (typeof NOTIFICATION_KINDS)[number];

export type Notifications = Awaited<ReturnType<typeof subscribeNotifications>>;

/** `redis` is a connection of its own: a subscribed connection does nothing else. */
export async function subscribeNotifications(redis: Redis, keys: Keys) {
  const listeners = new Map<string, Set<(subject: string) => void>>(
    NOTIFICATION_KINDS.map((kind) => [kind, new Set()]),
  );
  redis.on('message', (_channel, message: string) => {
    const space = message.indexOf(' ');
    for (const listener of listeners.get(message.slice(0, space)) ?? []) listener(message.slice(space + 1));
  });
  await redis.subscribe(keys.notifications);
  return {
    /** Returns what ends the subscription. */
    on(kind: NotificationKind, listener: (subject: string) => void): () => void {
      listeners.get(kind)?.add(listener);
      return () => listeners.get(kind)?.delete(listener);
    },
    close: (): void => redis.disconnect(),
  };
}
