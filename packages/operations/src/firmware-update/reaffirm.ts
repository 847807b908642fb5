/**
 * EVerest has restarted while an update waited for permission, or had it and was not begun: its connectors are
 * operative again. The trigger status is told once more and permission is awaited again.
 */
import type { Dialect } from '@khumbu/shared/stations/stations-file';
import { waitingOf } from '../records/waiting.js';
import type { StoredWait } from '../records/waits.js';
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
const waitingFor = (record: FirmwareUpdateRecord, dialect: Dialect): StoredWait =>
  dialect === 'ocpp2.x' && !record.signed ? 'permission_unobtainable' : 'permission';

export function reaffirm(record: FirmwareUpdateRecord, context: TransitionContext): Transition {
  const { permission: _permission, ...without } = record;
  // A permission that is void now has to be waited for from now on; one that never came, since it was wanted.
  const since = record.permission ? context.now.wall : waitingOf(record, context.now)?.since;
  return applyUpdateEvent(without, 'stationRestarted', context, {
    reason: 'station_restarted',
    set: {
      waitingFor: waitingFor(record, context.dialect),
      ...(since === undefined ? {} : { waitingSince: since }),
      triggerEpoch: context.bootEpoch,
    },
  });
}
