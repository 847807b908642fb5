/** What a station receives: decoded, judged by its OCPP dialect and recorded, over all its boots. */
import type { M2eChannelName } from '@khumbu/shared/contract/channels';
import { decode } from '@khumbu/shared/contract/codec';
import type {
  ConfigureNetworkStatus,
  FirmwareUpdateRequest,
  FirmwareUpdateStatus,
  LogStatus,
  UploadLogsRequest,
  UploadLogsResponse,
} from '@khumbu/shared/contract/schemas';
import type { RequestOutcome } from './boot-requests.js';
import { createDialectChecks, type DialectCheckOptions } from './dialect-checks.js';
import type { Tell } from './everest-options.js';
import { keep, nowMs, type ReceivedStatus } from './status-log.js';
import { FINAL_STATUSES } from './status-order.js';

export interface InboxEffects {
  readonly tell: Tell;
  /** Number of the boot that runs. */
  readonly boot: () => number;
  /** A final status that comes now reaches no CSMS, and everyone could know. */
  readonly unregistered: () => boolean;
  /** After it was recorded. */
  readonly onFirmware: (message: FirmwareUpdateStatus) => void;
  readonly onCheck: (value: boolean) => void;
  /** The OCPP module aborted. */
  readonly onAbort: () => void;
}

const ANSWERED_WELL: ReadonlySet<unknown> = new Set(['Accepted', 'AcceptedCanceled']);

/** Signed is who has a certificate and a signature, whatever the id. */
export const isSigned = (request: FirmwareUpdateRequest): boolean =>
  request.signing_certificate !== undefined && request.signature !== undefined;

export function createStationInbox(options: DialectCheckOptions, effects: InboxEffects) {
  const dialect = createDialectChecks(options);
  const statuses: ReceivedStatus[] = [];
  const checks: { readonly value: boolean; readonly atMs: number }[] = [];
  const violations: string[] = [];
  let seq = 0;

  function violated(...found: string[]): void {
    for (const violation of found) {
      keep(violations, violation);
      effects.tell('violation', violation);
    }
  }

  function record(status: Omit<ReceivedStatus, 'seq' | 'boot' | 'atMs'>): void {
    seq += 1;
    const received = { ...status, seq, boot: effects.boot(), atMs: nowMs() };
    keep(statuses, received);
    effects.tell('status', received);
  }

  function firmware(message: FirmwareUpdateStatus): void {
    const { firmware_update_status: status, request_id: requestId, firmware_update_metadata: metadata } = message;
    violated(...dialect.firmware(message));
    if (effects.unregistered() && FINAL_STATUSES.has(status)) {
      violated(`firmware ${requestId}: ${status} before the station was registered: lost`);
    }
    record({ kind: 'firmware', status, requestId, ...(metadata ? { metadata } : {}) });
    effects.onFirmware(message);
  }

  function log(message: LogStatus): void {
    violated(...dialect.log(message));
    record({ kind: 'log', status: message.log_status, requestId: message.request_id });
    if (dialect.abortsOcpp(message)) effects.onAbort();
  }

  function network(message: ConfigureNetworkStatus): void {
    const { status, request_id: requestId, interface_address: interfaceAddress } = message;
    record({ kind: 'network', status, requestId, ...(interfaceAddress === undefined ? {} : { interfaceAddress }) });
  }

  function check(value: boolean): void {
    if (!value) violated('communication_check: false ends the supervision until the next boot');
    keep(checks, { value, atMs: nowMs() });
    effects.onCheck(value);
    effects.tell('check', value);
  }

  /** That of a request which OCPP knows nothing of. */
  function other(
    kind: M2eChannelName,
    { request_id: requestId, status }: { request_id: number; status: string },
  ): void {
    record({ kind, status, requestId });
  }

  const take: Partial<Record<M2eChannelName, (payload: unknown) => void>> = {
    firmware_update_status: (payload) => firmware(payload as FirmwareUpdateStatus),
    log_status: (payload) => log(payload as LogStatus),
    configure_network_status: (payload) => network(payload as ConfigureNetworkStatus),
    communication_check: (payload) => check(payload as boolean),
  };

  return {
    statuses,
    checks,
    violations,
    violated,
    /** EVerest drops what it cannot read, with a warning that does not reach us. */
    receive(name: M2eChannelName, bytes: Buffer): void {
      const decoded = decode(name, bytes);
      if (!decoded.ok) violated(`${name}: ${decoded.reason}`);
      else if (take[name]) take[name](decoded.payload);
      else other(name, decoded.payload as { request_id: number; status: string });
    },
    /** A request has its answer: from now on its statuses may come. */
    answered({ name, payload, reply }: RequestOutcome): void {
      if (name === 'update_firmware' && ANSWERED_WELL.has(reply)) {
        const request = payload as FirmwareUpdateRequest;
        dialect.accepted('firmware', request.request_id, isSigned(request));
      }
      if (name === 'upload_logs' && ANSWERED_WELL.has((reply as UploadLogsResponse).upload_logs_status)) {
        dialect.accepted('log', (payload as UploadLogsRequest).request_id ?? -1);
      }
    },
  };
}
