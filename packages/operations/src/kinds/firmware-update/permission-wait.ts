/** What is known of a permission that is waited for. Pure. */
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import type { FirmwareUpdateRecord } from './record.js';

interface Hearer {
  readonly dialect: Dialect;
  readonly bootEpoch: number;
}

/** EVerest has started anew since it asked for the update. */
const hasForgotten = ({ acceptedEpoch, origin }: FirmwareUpdateRecord, { bootEpoch }: Hearer): boolean =>
  origin === 'everest' && acceptedEpoch !== undefined && acceptedEpoch !== bootEpoch;

/**
 * OCPP 2.x forgets with its restart that an unsigned update is under way, and may never send the permission. `restarted`:
 * it is known to have restarted.
 */
export const permissionWait = (
  record: FirmwareUpdateRecord,
  hearer: Hearer,
  restarted = hasForgotten(record, hearer),
): 'permission' | 'permission_unobtainable' =>
  hearer.dialect === 'ocpp2.x' && !record.signed && restarted ? 'permission_unobtainable' : 'permission';

/** How soon it is looked whether EVerest has heard the trigger, and how long its permission may take from then on. */
export const TOLD_LOOK_MS = 2000;
export const PERMISSION_DELAY_MS = 4000;
/** A heartbeat that was sent this long after EVerest had heard the trigger would have come behind its permission. */
export const ANSWERS_WITHIN_MS = 2000;
/** How long one is waited for that no heartbeat would come behind. */
export const SILENT_DELAY_MS = 10_000;

/**
 * The trigger was told, and OCPP 1.6 tells its CSMS nothing until the permission comes: it is to hear InstallScheduled
 * where a transaction delays that. OCPP 2.x says so itself and leaves ours out. Only where the status can be spoken.
 */
export const awaitsDelayedPermission = (record: FirmwareUpdateRecord): boolean =>
  record.state === 'SignatureVerified' &&
  record.announced &&
  record.requestId !== -1 &&
  record.triggerEpoch !== undefined &&
  record.permissionNeeded &&
  record.permission === undefined;
