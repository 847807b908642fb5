/**
 * What would break or be lost in the station's OCPP module, found in the statuses as they arrive. Remembers over
 * restarts of EVerest, as the CSMS does.
 */
import type { FirmwareUpdateStatus, FirmwareUpdateStatusEnum, LogStatus } from '@khumbu/shared/contract/schemas';
import { RESTORING, type StationDialect } from './ocpp-peer.js';
import {
  ANNOUNCED_FIRMWARE,
  FINAL_STATUSES,
  LOG_UPLOAD,
  LOG_UPLOAD_PER_ATTEMPT,
  PLAIN_FIRMWARE,
  PLAIN_FIRMWARE_STATUSES,
  PLAIN_LOG_STATUSES,
  SIGNED_FIRMWARE,
  UNSIGNED_FIRMWARE,
} from './status-order.js';

export interface DialectCheckOptions {
  readonly dialect: StationDialect;
  /** `adopt`: statuses of requests from before this process are taken as they come. Default `violation`. */
  readonly unknownIds?: 'violation' | 'adopt';
  /** A failure status per try is wanted. */
  readonly logFailurePerAttempt?: boolean;
}

type Kind = 'firmware' | 'log';
type Order = Readonly<Record<string, readonly string[] | undefined>>;

/** One accepted request. Ids repeat (-1 does all the time), so an id has a queue of them. */
interface Run {
  readonly order: Order;
  readonly serial: number;
  last: string;
}

const BEGINS: ReadonlySet<string> = new Set(['DownloadScheduled', 'Downloading', 'Uploading']);
const isDone = ({ order, last }: Run): boolean => FINAL_STATUSES.has(last) && order[last] === undefined;
const allows = ({ order, last }: Run, status: string): boolean => order[last]?.includes(status) === true;

/** The accepted requests of each id, in order. */
function createRuns(options: DialectCheckOptions) {
  const { dialect } = options;
  const runs: Record<Kind, Map<number, Run[]>> = { firmware: new Map(), log: new Map() };
  let serial = 0;

  const orderOf = (kind: Kind, requestId: number, signed: boolean | undefined): Order => {
    if (kind === 'log') return options.logFailurePerAttempt ? LOG_UPLOAD_PER_ATTEMPT : LOG_UPLOAD;
    if (requestId === -1 && dialect === 'ocpp1.6') return PLAIN_FIRMWARE;
    if (signed === undefined) return ANNOUNCED_FIRMWARE;
    return signed || dialect === 'ocpp1.6' ? SIGNED_FIRMWARE : UNSIGNED_FIRMWARE;
  };
  const open = (kind: Kind, requestId: number, signed: boolean | undefined): Run => {
    serial += 1;
    const run: Run = { order: orderOf(kind, requestId, signed), serial, last: 'start' };
    const queue = (runs[kind].get(requestId) ?? []).filter((earlier) => !isDone(earlier));
    runs[kind].set(requestId, [...queue, run]);
    return run;
  };

  /** The run a status belongs to. An update that was not asked for over MQTT is announced with id -1. */
  function runFor(kind: Kind, requestId: number, status: string): Run | undefined {
    const queue = runs[kind].get(requestId) ?? [];
    const [current, next] = queue;
    const announced = kind === 'firmware' && requestId === -1;
    if (!current) {
      if (options.unknownIds === 'adopt') return Object.assign(open(kind, requestId, undefined), { last: status });
      return announced ? open(kind, requestId, undefined) : undefined;
    }
    if (current.last === status || allows(current, status)) return current;
    if (next && (isDone(current) || BEGINS.has(status))) {
      queue.shift();
      return next;
    }
    return announced && isDone(current) && BEGINS.has(status) ? open(kind, requestId, undefined) : current;
  }

  return {
    open,
    runFor,
    current: (kind: Kind, requestId: number): Run | undefined => runs[kind].get(requestId)?.[0],
  };
}

export function createDialectChecks(options: DialectCheckOptions) {
  const { dialect } = options;
  const runs = createRuns(options);
  const newestBegun: Record<Kind, number> = { firmware: 0, log: 0 };
  /** Updates that took connectors out of use and did not give them back, with their ids. */
  const holdingConnectors = new Map<Run, number>();

  /** 1.6 gives connectors back on nothing less than a restoring end of the update that took them. */
  function* strandedBefore(run: Run): Generator<string> {
    if (dialect !== 'ocpp1.6') return;
    for (const [earlier, requestId] of holdingConnectors) {
      if (earlier.serial >= run.serial) continue;
      holdingConnectors.delete(earlier);
      yield `firmware ${requestId}: the next update began but this one left connectors out of use`;
    }
  }

  function* follow(kind: Kind, requestId: number, status: string): Generator<string> {
    const run = runs.runFor(kind, requestId, status);
    if (!run) {
      yield `${kind} ${requestId}: ${status} for an id that was never accepted`;
      return;
    }
    const { last } = run;
    if (last === status) return;
    if (isDone(run)) {
      const what = FINAL_STATUSES.has(status) ? 'a second final status' : 'a status';
      yield `${kind} ${requestId}: ${what}, ${status}, after ${last}`;
      return;
    }
    if (run.serial < newestBegun[kind]) yield `${kind} ${requestId}: ${status} after a later request began`;
    if (!allows(run, status)) yield `${kind} ${requestId}: ${status} after ${last}`;
    if (last === 'start') {
      newestBegun[kind] = Math.max(newestBegun[kind], run.serial);
      if (kind === 'firmware') yield* strandedBefore(run);
    }
    run.last = status;
  }

  function* firmware(message: FirmwareUpdateStatus): Generator<string> {
    const { firmware_update_status: status, request_id: requestId } = message;
    if (status === 'Idle') {
      yield `firmware ${requestId}: Idle is not ours to send`;
      return;
    }
    if (dialect === 'ocpp1.6' && requestId === -1 && !PLAIN_FIRMWARE_STATUSES.has(status)) {
      yield `firmware ${requestId}: OCPP 1.6 has no ${status} without an id and drops it`;
      return;
    }
    yield* follow('firmware', requestId, status);
    noteConnectors(message);
  }

  function noteConnectors(message: FirmwareUpdateStatus): void {
    const { firmware_update_status: status, request_id: requestId } = message;
    const run = runs.current('firmware', requestId);
    const trigger: FirmwareUpdateStatusEnum = requestId === -1 ? 'Downloaded' : 'SignatureVerified';
    if (!run) return;
    const kept = message.firmware_update_metadata?.disable_connectors_during_install === false;
    if (status === trigger && !kept) holdingConnectors.set(run, requestId);
    else if (RESTORING['ocpp1.6'].has(status)) holdingConnectors.delete(run);
  }

  /** Whether the status throws in libocpp 1.6, which is not caught. */
  const abortsOcpp = ({ log_status: status, request_id: requestId }: LogStatus): boolean =>
    dialect === 'ocpp1.6' && (status === 'AcceptedCanceled' || (requestId === -1 && !PLAIN_LOG_STATUSES.has(status)));

  function* log(message: LogStatus): Generator<string> {
    const { log_status: status, request_id: requestId } = message;
    if (abortsOcpp(message)) yield `log ${requestId}: ${status} aborts the OCPP 1.6 module`;
    if (status === 'Idle') yield `log ${requestId}: Idle is not ours to send`;
    else yield* follow('log', requestId, status);
  }

  return {
    /** A request was answered with Accepted or AcceptedCanceled. `signed` is for firmware alone. */
    accepted: (kind: Kind, requestId: number, signed = false): void => void runs.open(kind, requestId, signed),
    firmware: (message: FirmwareUpdateStatus): string[] => [...firmware(message)],
    log: (message: LogStatus): string[] => [...log(message)],
    abortsOcpp,
  };
}
