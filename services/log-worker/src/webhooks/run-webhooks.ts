/** Tells webhooks what happens: from the stream of events into their lists, and from there to their receivers. */
import type { Keys } from '@khumbu/operations/records/keys';
import type { Notifications } from '@khumbu/operations/records/notifications';
import { createReadGroups, type ReadGroupsDeps } from '@khumbu/operations/stations/read-groups';
import { LONGEST_MS } from '@khumbu/operations/webhooks/backoff';
import { startDispatcher } from '@khumbu/operations/webhooks/dispatcher';
import { createWebhookStore } from '@khumbu/operations/webhooks/webhook-store';
import { startWebhookWorker } from '@khumbu/operations/webhooks/webhook-worker';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Redis } from 'ioredis';
import { createSend, type SendDeps } from './send.js';

export interface WebhookConfig {
  readonly WEBHOOK_TRIES: number;
  readonly WEBHOOK_RETRY_INTERVAL_MS: number;
  readonly WEBHOOK_TIMEOUT_MS: number;
  readonly WEBHOOKS_AT_ONCE: number;
  readonly MAX_RETRY_AFTER_S: number;
  readonly JOB_LOCK_MS: number;
}

export interface WebhookDeps {
  readonly config: WebhookConfig;
  readonly redis: Redis;
  /** A connection of its own, closed at the stop. */
  readonly waiting: Redis;
  readonly keys: Keys;
  readonly notifications: Pick<Notifications, 'on'>;
  readonly directory: ReadGroupsDeps['directory'];
  readonly context: SendDeps['context'];
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly log: Logger;
}

export function runWebhooks(deps: WebhookDeps) {
  const { config, redis, waiting, keys, notifications, directory, context, now, log } = deps;
  const store = createWebhookStore(redis, keys);
  const onError = (error: unknown): void => log.warn({ err: error }, 'webhooks');
  const worker = startWebhookWorker({
    store,
    redis,
    keys,
    concurrency: config.WEBHOOKS_AT_ONCE,
    tries: config.WEBHOOK_TRIES,
    firstWaitMs: config.WEBHOOK_RETRY_INTERVAL_MS,
    mostRetryAfterMs: Math.min(config.MAX_RETRY_AFTER_S * 1000, LONGEST_MS),
    lockMs: config.JOB_LOCK_MS,
    now,
    send: createSend({ context, timeoutMs: config.WEBHOOK_TIMEOUT_MS, now }),
    onDead: ({ id }, { id: delivery, station }, { reason }) =>
      log.warn({ webhook: id, delivery, station, reason }, 'a delivery to a webhook is a dead letter'),
    onGone: ({ id }) => log.warn({ webhook: id }, 'a webhook has stopped: its receiver answered 410'),
    onError,
  });
  const dispatcher = startDispatcher({
    store,
    redis,
    waiting,
    keys,
    readGroups: createReadGroups({ redis, keys, directory }),
    now,
    onDeliveries: worker.onDeliveries,
    onError,
  });
  const endNotifications = notifications.on('webhook', () => void worker.sweep());
  void worker.sweep();
  return {
    async stop(): Promise<void> {
      endNotifications();
      await dispatcher.stop();
      await worker.stop();
    },
  };
}
