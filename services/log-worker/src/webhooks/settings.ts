import { whole } from '@khumbu/shared/runtime/config';

export const WEBHOOK_SETTINGS = {
  WEBHOOK_TRIES: whole(20, 1, 'Tries of a delivery to a webhook in all, before it is a dead letter.', 100),
  WEBHOOK_RETRY_INTERVAL_MS: whole(
    5000,
    10,
    'Milliseconds before the second try of a delivery; doubled after each, up to a quarter of an hour.',
  ),
  WEBHOOK_TIMEOUT_MS: whole(10_000, 100, 'Milliseconds that a receiver has for its answer.'),
  WEBHOOKS_AT_ONCE: whole(16, 4, 'Deliveries to webhooks one worker makes at once; one webhook has a quarter of them.'),
} as const;
