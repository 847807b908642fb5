import { randomUUID } from 'node:crypto';
import type { M2eChannelName } from '@khumbu/shared/contract/channels';
import type { Moment } from '../clock/depot-clock.js';

/** One status on its way to EVerest. It leaves the outbox when the broker has acknowledged it. */
export interface OutboxEntry {
  readonly id: string;
  readonly operationId: string;
  readonly channel: Exclude<M2eChannelName, 'communication_check'>;
  readonly payload: unknown;
  readonly at: number;
  /** After this it is dropped (the record's retention); monotonic. */
  readonly expiresAt: number;
  /**
   * Set on the first status after a reboot that we caused, when the station was seen booted: EVerest must be heard
   * after that moment (monotonic), and its OCPP side be registered, or the status would be lost. A count of heartbeats that
   * began since `begunAt`, when the reboot was asked for (monotonic), is that of the new boot.
   */
  readonly afterBoot?: { readonly at: number; readonly settleMs: number; readonly begunAt?: number };
}

/** How long an ended operation is kept, and with it the statuses that could not be sent. */
const RETENTION_MS = 30 * 24 * 3600_000;

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
