/**
 * EVerest has restarted while an update waited for permission, or had it and was not begun: its connectors are
 * operative again. The trigger status is told once more and permission is awaited again.
 */
import { waitingBy } from '../../records/waiting.js';
import { isBeforeInstall } from './machine.js';
import { permissionWait } from './permission-wait.js';
import type { FirmwareUpdateRecord } from './record.js';
import { applyUpdateEvent, type Transition, type TransitionContext } from './transition.js';
import { UPDATE_WAITS } from './waits.js';

/** Pure: whether the update's trigger belongs to an earlier boot of EVerest. */
export const needsReaffirming = (record: FirmwareUpdateRecord, bootEpoch: number): boolean =>
  isBeforeInstall(record.state) &&
  record.heldFor === undefined &&
  record.permissionNeeded &&
  record.triggerEpoch !== undefined &&
  record.triggerEpoch !== bootEpoch;

/** `reason`: why what was permitted does not count any more. */
export function reaffirm(
  record: FirmwareUpdateRecord,
  context: TransitionContext,
  reason: 'station_restarted' | 'permission_expired' = 'station_restarted',
): Transition {
  const { permission: _permission, ...without } = record;
  // A permission that is void now has to be waited for from now on; one that never came, since it was wanted.
  const since = record.permission ? context.now.wall : waitingBy(UPDATE_WAITS, record, context.now)?.since;
  return applyUpdateEvent(without, 'stationRestarted', context, {
    reason,
    set: {
      waitingFor: permissionWait(record, context, true),
      ...(since === undefined ? {} : { waitingSince: since }),
      triggerEpoch: context.bootEpoch,
    },
  });
}
