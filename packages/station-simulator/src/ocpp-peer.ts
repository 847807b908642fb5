/**
 * The part of libocpp that reacts to firmware statuses: when connectors go out of use and come back, when permission
 * to install is given, and what the CSMS receives. Pure apart from the `allow` port; one object per boot, since
 * libocpp remembers none of it.
 */
import type { FirmwareUpdateStatus, FirmwareUpdateStatusEnum } from '@khumbu/shared/contract/schemas';
import { keep } from './status-log.js';
import { PLAIN_FIRMWARE_STATUSES } from './status-order.js';

export type StationDialect = 'ocpp1.6' | 'ocpp2.x';

/** A FirmwareStatusNotification (or its signed form) as the CSMS receives it; no id for -1. */
export interface CsmsNotification {
  readonly status: FirmwareUpdateStatusEnum;
  readonly requestId?: number;
}

const FAILED = ['InstallationFailed', 'InstallVerificationFailed', 'DownloadFailed', 'InvalidSignature'] as const;
/** The statuses after which connectors are put back into use. */
export const RESTORING: Record<StationDialect, ReadonlySet<FirmwareUpdateStatusEnum>> = {
  'ocpp1.6': new Set(['Installed', 'InstallationFailed', 'InstallVerificationFailed']),
  'ocpp2.x': new Set([...FAILED, 'Installed']),
};

/** 1.6: what ends the pending state. `Installed` is missing there, which is a flaw of libocpp. */
const ENDS_PENDING: ReadonlySet<FirmwareUpdateStatusEnum> = new Set(FAILED);

const keepsConnectors = (status: FirmwareUpdateStatus): boolean =>
  status.firmware_update_metadata?.disable_connectors_during_install === false;

export class OcppPeer {
  readonly csmsHeard: CsmsNotification[] = [];
  transactions = 0;
  /** Idle connectors are out of use, busy ones follow when their transaction ends. */
  connectorsDown = false;
  /** An update is pending (1.6): every later status asks for permission again. */
  pending = false;
  stopped = false;
  readonly #dialect: StationDialect;
  readonly #allow: () => void;
  /** 2.x: the status that precedes the installation; after a boot libocpp assumes a signed update. */
  #trigger: FirmwareUpdateStatusEnum = 'SignatureVerified';
  #last: { status: FirmwareUpdateStatusEnum; requestId: number } | undefined;

  constructor(dialect: StationDialect, allow: () => void) {
    this.#dialect = dialect;
    this.#allow = allow;
  }

  /** An update request passes through to us; 2.x learns from it which status precedes the installation. */
  requested({ signed }: { readonly signed: boolean }): void {
    this.#trigger = signed ? 'SignatureVerified' : 'Downloaded';
  }

  status(message: FirmwareUpdateStatus): void {
    if (this.stopped) return;
    if (this.#dialect === 'ocpp1.6') this.#status16(message);
    else this.#status2x(message);
  }

  /** TriggerMessage(FirmwareStatusNotification): 1.6 asks for permission again while an update is pending. */
  triggerMessage(): void {
    if (!this.stopped && this.pending) this.#takeConnectorsDown();
  }

  /** A transaction begins; `false` if no connector is in use. */
  beginTransaction(): boolean {
    if (this.connectorsDown) return false;
    this.transactions += 1;
    return true;
  }

  endTransaction(): void {
    if (this.transactions === 0) return;
    this.transactions -= 1;
    if (this.stopped) return;
    if (this.#dialect === 'ocpp1.6' ? this.pending : this.connectorsDown && this.transactions === 0)
      this.#takeConnectorsDown();
  }

  /** OCPP stops itself after a reset and receives nothing until the next boot. */
  stop(): void {
    this.stopped = true;
  }

  #status16(message: FirmwareUpdateStatus): void {
    const { firmware_update_status: status, request_id: requestId } = message;
    const plain = requestId === -1;
    if (plain && !PLAIN_FIRMWARE_STATUSES.has(status)) return;
    if (status === (plain ? 'Downloaded' : 'SignatureVerified')) this.pending = !keepsConnectors(message);
    else if (ENDS_PENDING.has(status)) this.pending = false;
    this.#notify(status, requestId);
    if (this.pending) this.#takeConnectorsDown();
    if (RESTORING[this.#dialect].has(status)) this.connectorsDown = false;
  }

  #status2x(message: FirmwareUpdateStatus): void {
    const { firmware_update_status: status, request_id: requestId } = message;
    if (this.#last?.status === status && (requestId === -1 || this.#last.requestId === requestId)) return;
    this.#last = { status, requestId };
    this.#notify(status, requestId);
    if (RESTORING[this.#dialect].has(status)) this.connectorsDown = false;
    if (status !== this.#trigger || keepsConnectors(message)) return;
    if (this.transactions > 0) {
      this.#last = { status: 'InstallScheduled', requestId };
      this.#notify('InstallScheduled', requestId);
    }
    this.#takeConnectorsDown();
  }

  #notify(status: FirmwareUpdateStatusEnum, requestId: number): void {
    keep(this.csmsHeard, requestId === -1 ? { status } : { status, requestId });
  }

  #takeConnectorsDown(): void {
    this.connectorsDown = true;
    if (this.transactions === 0) this.#allow();
  }
}
