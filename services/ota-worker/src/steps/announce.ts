/**
 * What EVerest is told while an update waits: that the image is ready, shortly before a date to install at; and that the
 * installation is scheduled, where a transaction delays the permission.
 */
import { PERMISSION_DELAY_MS } from '@khumbu/operations/firmware-update/permission-wait';
import type { FirmwareUpdateRecord } from '@khumbu/operations/firmware-update/record';
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { applyAll, type StationView, type StepDeps, viewStation } from './step-deps.js';

export function createAnnounce(deps: StepDeps) {
  const { store, now } = deps;

  /** EVerest has heard what it is to answer with its permission, and is there to do so. */
  const isAsked = async (record: FirmwareUpdateRecord, { state }: StationView): Promise<boolean> => {
    if (state.awaySince !== undefined || state.bootEpoch !== record.triggerEpoch) return false;
    return !(await store.outboxEntries(record.station)).some(({ operationId }) => operationId === record.id);
  };

  return async (record: FirmwareUpdateRecord, { commit }: StepContext): Promise<void> => {
    const view = await viewStation(deps, record.station);
    const { bootEpoch } = STATION_FIELDS;
    const change = store.change().expectStation(record.station, bootEpoch, view.state.fields[bootEpoch]);
    if (record.triggerHeldUntil !== undefined) {
      applyAll(change, record, [{ event: 'triggerDue' }], view.context);
    } else if (await isAsked(record, view)) {
      applyAll(change, record, [{ event: 'permissionDelayed' }], view.context);
    } else {
      // It has not had the time yet; what keeps it is told of otherwise.
      change.put({ ...record, notBefore: now().steady + PERMISSION_DELAY_MS, run: record.run + 1 });
    }
    await commit(change);
  };
}
