/**
 * The part of libocpp that reacts to firmware statuses: when connectors go out of use and come back, when permission
 * to install is given, and what the CSMS receives. Pure apart from the `allow` port; one object per boot, since
 * libocpp remembers none of it.
 */
import type { FirmwareUpdateStatus, FirmwareUpdateStatusEnum } from '@khumbu/shared/contract/schemas';
import { PLAIN_FIRMWARE_STATUSES } from './status-order.js';

export type StationDialect = 'ocpp1.6' | 'ocpp2.x';

/** A FirmwareStatusNotification (or its signed form) as the CSMS receives it; no id for -1. */
export interface CsmsNotification {
  readonly status: FirmwareUpdateStatusEnum;
  readonly requestId?: number;
}

export interface OcppPeer {
  /** An update request passes through to us; 2.x learns from it which status precedes the installation. */
  requested(request: { readonly signed: boolean }): void;
  status(status: FirmwareUpdateStatus): void;
  /** TriggerMessage(FirmwareStatusNotification): 1.6 asks for permission again while an update is pending. */
  triggerMessage(): void;
  /** A transaction begins; `false` if no connector is in use. */
  beginTransaction(): boolean;
  endTransaction(): void;
  /** OCPP stops itself after a reset and receives nothing until the next boot. */
  stop(): void;
  readonly stopped: boolean;
  readonly transactions: number;
  /** Idle connectors are out of use, busy ones follow when their transaction ends. */
  readonly connectorsDown: boolean;
  /** An update is pending (1.6): every later status asks for permission again. */
  readonly pending: boolean;
  readonly csmsHeard: readonly CsmsNotification[];
}

/** The statuses after which connectors are put back into use. */
const RESTORING: Record<StationDialect, ReadonlySet<FirmwareUpdateStatusEnum>> = {
  'ocpp1.6': new Set(['Installed', 'InstallationFailed', 'InstallVerificationFailed']),
  'ocpp2.x': new Set([
    'Installed',
    'InstallationFailed',
    'InstallVerificationFailed',
    'DownloadFailed',
    'InvalidSignature',
  ]),
};

/** 1.6: what ends the pending state. `Installed` is missing there, which is a flaw of libocpp. */
const ENDS_PENDING: ReadonlySet<FirmwareUpdateStatusEnum> = new Set([
  'InstallationFailed',
  'DownloadFailed',
  'InstallVerificationFailed',
  'InvalidSignature',
]);

interface PeerState {
  transactions: number;
  connectorsDown: boolean;
  pending: boolean;
  stopped: boolean;
  /** 2.x: the status that precedes the installation; after a boot libocpp assumes a signed update. */
  trigger: FirmwareUpdateStatusEnum;
  last?: { status: FirmwareUpdateStatusEnum; requestId: number };
}

export function createOcppPeer(options: { readonly dialect: StationDialect; readonly allow: () => void }): OcppPeer {
  const { dialect, allow } = options;
  const csmsHeard: CsmsNotification[] = [];
  const state: PeerState = {
    transactions: 0,
    connectorsDown: false,
    pending: false,
    stopped: false,
    trigger: 'SignatureVerified',
  };

  const notify = (status: FirmwareUpdateStatusEnum, requestId: number): void => {
    csmsHeard.push(requestId === -1 ? { status } : { status, requestId });
    if (csmsHeard.length > 10_000) csmsHeard.shift();
  };
  const takeConnectorsDown = (): void => {
    state.connectorsDown = true;
    if (state.transactions === 0) allow();
  };
  const keepsConnectors = (status: FirmwareUpdateStatus): boolean =>
    status.firmware_update_metadata?.disable_connectors_during_install === false;

  function status16(message: FirmwareUpdateStatus): void {
    const { firmware_update_status: status, request_id: requestId } = message;
    const plain = requestId === -1;
    if (plain && !PLAIN_FIRMWARE_STATUSES.has(status)) return;
    if (status === (plain ? 'Downloaded' : 'SignatureVerified')) state.pending = !keepsConnectors(message);
    else if (ENDS_PENDING.has(status)) state.pending = false;
    notify(status, requestId);
    if (state.pending) takeConnectorsDown();
    if (RESTORING[dialect].has(status)) state.connectorsDown = false;
  }

  function status2x(message: FirmwareUpdateStatus): void {
    const { firmware_update_status: status, request_id: requestId } = message;
    if (state.last?.status === status && (requestId === -1 || state.last.requestId === requestId)) return;
    state.last = { status, requestId };
    notify(status, requestId);
    if (RESTORING[dialect].has(status)) state.connectorsDown = false;
    if (status !== state.trigger || keepsConnectors(message)) return;
    if (state.transactions > 0) {
      state.last = { status: 'InstallScheduled', requestId };
      notify('InstallScheduled', requestId);
    }
    takeConnectorsDown();
  }

  return {
    requested({ signed }) {
      state.trigger = signed ? 'SignatureVerified' : 'Downloaded';
    },
    status(message) {
      if (state.stopped) return;
      if (dialect === 'ocpp1.6') status16(message);
      else status2x(message);
    },
    triggerMessage() {
      if (!state.stopped && state.pending) takeConnectorsDown();
    },
    beginTransaction() {
      if (state.connectorsDown) return false;
      state.transactions += 1;
      return true;
    },
    endTransaction() {
      if (state.transactions === 0) return;
      state.transactions -= 1;
      if (state.stopped) return;
      if (dialect === 'ocpp1.6' ? state.pending : state.connectorsDown && state.transactions === 0)
        takeConnectorsDown();
    },
    stop() {
      state.stopped = true;
    },
    get stopped() {
      return state.stopped;
    },
    get transactions() {
      return state.transactions;
    },
    get connectorsDown() {
      return state.connectorsDown;
    },
    get pending() {
      return state.pending;
    },
    csmsHeard,
  };
}
