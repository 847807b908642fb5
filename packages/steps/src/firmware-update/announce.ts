/**
 * Statuses that are published while an update waits: that the image is ready, shortly before a date to install at; that the
 * installation is scheduled, where a transaction delays the permission.
 */
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import {
  ANSWERS_WITHIN_MS,
  PERMISSION_DELAY_MS,
  SILENT_DELAY_MS,
  TOLD_LOOK_MS,
} from '@khumbu/operations/kinds/firmware-update/permission-wait';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { applyAll, type StationView, type StepDeps, viewStation } from './step-deps.js';

export function createAnnounce(deps: StepDeps) {
  const { store, now } = deps;

  /** EVerest has received the status that it answers with its permission, and is present. */
  const isAsked = async (record: FirmwareUpdateRecord, { state }: StationView): Promise<boolean> => {
    if (state.awaySince !== undefined || state.bootEpoch !== record.triggerEpoch) return false;
    return !(await store.outboxEntries(record.station)).some(({ operationId }) => operationId === record.id);
  };

  /**
   * Messages that EVerest sent since then were received, so its permission would have been: a frozen or disconnected station
   * is not mistaken for one with a transaction. Without heartbeats the time alone counts.
   */
  const isHeard = ({ heartbeat, communication }: StationView['state'], askedAt: number): boolean => {
    const beats = (communication?.heartbeat_period_ms ?? (heartbeat ? 1 : 0)) > 0;
    return beats
      ? (heartbeat?.steadyAt ?? 0) >= askedAt + ANSWERS_WITHIN_MS
      : now().monotonic >= askedAt + SILENT_DELAY_MS;
  };

  return async (record: FirmwareUpdateRecord, { commit }: StepContext): Promise<void> => {
    const view = await viewStation(deps, record.station);
    const { bootEpoch } = STATION_FIELDS;
    const transaction = store.transaction().expectStation(record.station, bootEpoch, view.state.fields[bootEpoch]);
    const { askedAt: before, ...rest } = record;
    const lookAgain = (waitMs: number, more: Partial<FirmwareUpdateRecord>): FirmwareUpdateRecord => ({
      ...rest,
      notBefore: now().monotonic + waitMs,
      run: record.run + 1,
      ...more,
    });
    if (record.triggerHeldUntil !== undefined) {
      applyAll(transaction, record, [{ event: 'triggerDue' }], view.context);
    } else if (!(await isAsked(record, view))) {
      transaction.put(lookAgain(TOLD_LOOK_MS, {}));
    } else if (before === undefined) {
      transaction.put(lookAgain(PERMISSION_DELAY_MS, { askedAt: now().monotonic }));
    } else if (isHeard(view.state, before)) {
      applyAll(transaction, record, [{ event: 'permissionDelayed' }], view.context);
    } else {
      transaction.put(lookAgain(TOLD_LOOK_MS, { askedAt: before }));
    }
    await commit(transaction);
  };
}
