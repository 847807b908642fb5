/**
 * EVerest has restarted while an update waited for permission, or had it and was not begun: its connectors are
 * operative again. The trigger status is told once more and permission is awaited again.
 */
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import { isBeforeInstall } from './machine.js';
import type { FirmwareUpdateRecord } from './record.js';
import { applyUpdateEvent, type Transition, type TransitionContext } from './transition.js';

/** Pure: whether the update's trigger belongs to an earlier boot of EVerest. */
export const needsReaffirming = (record: FirmwareUpdateRecord, bootEpoch: number): boolean =>
  isBeforeInstall(record.state) &&
  record.heldFor === undefined &&
  record.permissionNeeded &&
  record.triggerEpoch !== undefined &&
  record.triggerEpoch !== bootEpoch;

/** OCPP 2.x forgets with its restart that an unsigned update is under way, and may never send the permission. */
const waitingFor = (record: FirmwareUpdateRecord, dialect: Dialect): string =>
  dialect === 'ocpp2.x' && !record.signed ? 'permission_unobtainable' : 'permission';

export function reaffirm(record: FirmwareUpdateRecord, context: TransitionContext): Transition {
  const { permission: _permission, ...without } = record;
  return applyUpdateEvent(without, 'stationRestarted', context, {
    reason: 'station_restarted',
    set: { waitingFor: waitingFor(record, context.dialect), triggerEpoch: context.bootEpoch },
  });
}
