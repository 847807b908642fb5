import { randomUUID } from 'node:crypto';
import type { Moment } from '../clock/depot-clock.js';
import type { OutboxEntry } from './entry.js';

/** How long an ended operation is kept, and with it the statuses that could not be sent. */
export const RETENTION_MS = 30 * 24 * 3600_000;

/** A new status for EVerest. */
export const outboxEntry = (
  channel: OutboxEntry['channel'],
  operationId: string,
  payload: unknown,
  now: Moment,
  afterBoot?: OutboxEntry['afterBoot'],
): OutboxEntry => ({
  id: randomUUID(),
  operationId,
  channel,
  payload,
  at: now.wall,
  expiresAt: now.monotonic + RETENTION_MS,
  ...(afterBoot ? { afterBoot } : {}),
});
