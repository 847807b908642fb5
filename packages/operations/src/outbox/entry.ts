import type { M2eChannelName } from '@khumbu/shared/contract/channels';

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
