/**
 * A reset: wait until nothing is being installed and the boot that ends an install was noticed, restart, and be done
 * when a heartbeat of a new boot of EVerest was received.
 */
import { putOff, type StepContext } from '@khumbu/operations/jobs/job-loop';
import { releaseSlot } from '@khumbu/operations/jobs/release-slot';
import { isInstalling } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyResetEvent, type ResetEvent, type ResetRecord } from '@khumbu/operations/kinds/reset/record';
import type { Transaction } from '@khumbu/operations/kinds/store';
import { slotField } from '@khumbu/operations/records/keys';
import type { Reason } from '@khumbu/operations/records/reasons';
import { isEnded } from '@khumbu/operations/records/record';
import {
  NO_RESET_ALLOWED,
  readStation,
  STATION_FIELDS,
  type StationState,
} from '@khumbu/operations/stations/station-state';
import type { BootReason, ResetType } from '@khumbu/shared/contract/schemas';
import { awaitEffect } from '@khumbu/station-drivers/await-effect';
import type { EffectStep } from '@khumbu/station-drivers/port';
import { orSettle } from '../driver-faults.js';
import { failReset, settleReset } from './settle-reset.js';
import { requireDriver, type StepDeps } from './step-deps.js';

const INSTALL_PAUSE_MS = 500;
/** How soon a station that shares its name with another one is looked at again. */
const CONFLICT_PAUSE_MS = 5000;
/** How long the first sign of the new firmware's EVerest is waited for, once the update has ended. */
const BOOT_GRACE_MS = 30_000;

/** Soft restarts EVerest; the others, which OCPP 2.x sends without a type, restart the host. */
const EFFECT_OF_TYPE: Record<ResetType, Exclude<EffectStep, 'install'>> = {
  Soft: 'restart',
  Hard: 'reboot',
  NotSpecified: 'reboot',
};

export function createReset(deps: StepDeps) {
  const { store, now } = deps;
  const apply = (
    record: ResetRecord,
    event: ResetEvent,
    detail: { reason?: Reason; message?: string } = {},
  ): ResetRecord => applyResetEvent(record, event, { now: now() }, detail);

  /** The boot into the new firmware is still to be noticed: its reason is the update, not this reset. */
  const isBooting = (update: FirmwareUpdateRecord, { restartExpected }: StationState): boolean => {
    const sinceEndMs = now().wall - (update.endedAt ?? now().wall);
    return restartExpected?.operationId === update.id && Math.abs(sinceEndMs) < BOOT_GRACE_MS;
  };

  const isSeen = (record: ResetRecord, state: StationState): boolean =>
    record.reasonStored === true &&
    state.bootEpoch !== record.bootEpochBefore &&
    state.restartExpected?.operationId !== record.id;

  const begin = async (record: ResetRecord, { commit }: StepContext): Promise<void> => {
    const state = await readStation(store, record.station);
    const transaction = store.transaction();
    if (state.conflictSince !== undefined) {
      return commit(transaction.put(putOff(record, CONFLICT_PAUSE_MS, 'station_conflict', now())));
    }
    const id = state.slot('firmware_update');
    const update = id === undefined ? undefined : await store.load(id, 'firmware_update');
    if (update && (isInstalling(update.state) || update.slotHeld || isBooting(update, state))) {
      return commit(transaction.put(putOff(record, INSTALL_PAUSE_MS, 'install', now())));
    }
    // An install that begins in this very moment changes the record or the slot, and this commit fails.
    if (update) transaction.expectRecord(update.id, update.version);
    transaction.expectStation(record.station, slotField('firmware_update'), id);
    for (const field of [STATION_FIELDS.bootEpoch, STATION_FIELDS.conflictSince]) {
      transaction.expectStation(record.station, field, state.fields[field]);
    }
    // A permission to reset that EVerest got before is void: the station is reset now.
    transaction.setStation(record.station, NO_RESET_ALLOWED);
    // The station was faster: it has requested its boot reason already, and that boot is the one this reset ends in.
    if (isSeen(record, state)) return commit(transaction.put(apply(record, 'begun')));
    // Stored with the request unless that came during an install; what restarts the station now is this reset.
    const reason: BootReason = record.scheduled ? 'ScheduledReset' : 'RemoteReset';
    const expected = { reason, operationId: record.id, at: now().monotonic };
    transaction.setStation(record.station, { [STATION_FIELDS.restartExpected]: JSON.stringify(expected) });
    await commit(transaction.put({ ...apply(record, 'begun'), bootEpochBefore: state.bootEpoch }));
  };

  /** The station has been reset. If EVerest's new boot was noticed already, there is nothing to wait for. */
  const finish = (transaction: Transaction, record: ResetRecord, bootEpoch: number): Transaction =>
    transaction.put(apply(record, bootEpoch === record.bootEpochBefore ? 'performed' : 'restartSeen'));

  const perform = async (record: ResetRecord, { signal, commit, log }: StepContext): Promise<void> => {
    const driver = requireDriver(deps, record.station);
    const step = EFFECT_OF_TYPE[record.type];
    await driver.start({ step, operationId: record.id }, signal);
    log.info({ type: record.type }, 'reset started');
    const effect = await awaitEffect(driver, record.id, step, signal);
    const state = await readStation(store, record.station);
    const transaction = store.transaction();
    if (effect.state === 'succeeded') {
      transaction.expectStation(record.station, STATION_FIELDS.bootEpoch, state.fields[STATION_FIELDS.bootEpoch]);
      return commit(finish(transaction, record, state.bootEpoch));
    }
    await commit(await failReset(deps, record, { reason: 'reset_failed', message: effect.message }));
  };

  /** Out of time: a worker that was frozen since before its first effect on the station must not begin now. */
  const release = async (record: ResetRecord, { signal, commit }: StepContext): Promise<void> => {
    const profile = deps.directory.profileOf(record.station);
    const obstacle = async (): Promise<undefined> => {
      if (profile) await deps.driverOf(profile).retire(record.id, signal);
    };
    await commit(store.transaction().put(await releaseSlot(record, obstacle, now)));
  };

  return (record: ResetRecord, context: StepContext): Promise<void> => {
    if (isEnded(record)) return release(record, context);
    if (record.state === 'Accepted') return begin(record, context);
    return orSettle(
      context,
      () => perform(record, context),
      (error) => settleReset(deps, record, EFFECT_OF_TYPE[record.type], error, context.signal),
    );
  };
}
