/**
 * A reset: wait until nothing is being installed, restart, and be done when EVerest is heard in a new boot. The reason
 * for the boot to come was stored with the request.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { isInstalling } from '@khumbu/operations/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/firmware-update/record';
import { putOff, type StepContext } from '@khumbu/operations/jobs/worker';
import { DEFAULT_DEADLINES } from '@khumbu/operations/records/expire';
import type { Change } from '@khumbu/operations/records/store';
import { applyResetEvent, type ResetEvent, type ResetRecord } from '@khumbu/operations/reset/record';
import { readStationState, STATION_FIELDS, slotField } from '@khumbu/operations/stations/station-state';
import type { ResetType } from '@khumbu/shared/contract/schemas';
import { CodedError, hasCode } from '@khumbu/shared/runtime/errors';
import type { EffectStep, StationDriver } from '@khumbu/station-drivers/station-driver';
import { requireDriver, type StepDeps } from './step-deps.js';

const INSTALL_PAUSE_MS = 500;
const FIRST_LOOK_MS = 20;
const LONGEST_PAUSE_MS = 500;

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
    detail: { reason?: string; message?: string } = {},
  ): ResetRecord => applyResetEvent(record, event, { now: now(), deadlines: DEFAULT_DEADLINES.reset }, detail);

  const begin = async (record: ResetRecord, { commit }: StepContext): Promise<void> => {
    const state = readStationState(await store.station(record.station));
    const id = state.slot('firmware_update');
    const update = id === undefined ? undefined : ((await store.load(id)) as FirmwareUpdateRecord | undefined);
    const change = store.change();
    if (update && (isInstalling(update.state) || update.slotHeld)) {
      return commit(change.put(putOff(record, now() + INSTALL_PAUSE_MS, 'install', now())));
    }
    // An install that begins in this very moment changes the record or the slot, and this commit fails.
    if (update) change.expectRecord(update.id, update.version);
    change.expectStation(record.station, slotField('firmware_update'), id);
    await commit(change.put(apply(record, 'begun')));
  };

  const awaitEnd = async (
    driver: StationDriver,
    record: ResetRecord,
    step: EffectStep,
    signal: AbortSignal,
  ): Promise<string | undefined> => {
    for (let wait = FIRST_LOOK_MS; ; wait = Math.min(wait * 1.5, LONGEST_PAUSE_MS)) {
      signal.throwIfAborted();
      try {
        const effect = await driver.observeEffect(record.id, step, signal);
        if (effect.state === 'succeeded') return undefined;
        if (effect.state === 'failed') return effect.message;
        if (effect.state === 'absent') throw new CodedError('EFFECT_LOST', 'the station knows nothing of the reset');
      } catch (error) {
        if (!hasCode(error, 'STATION_UNREACHABLE')) throw error;
      }
      await pause(wait, undefined, { signal });
    }
  };

  /** The station has been reset. EVerest may have been heard already; then there is nothing to wait for. */
  const finish = (change: Change, record: ResetRecord, bootEpoch: number): Change =>
    change.put(apply(record, bootEpoch === record.bootEpochBefore ? 'performed' : 'restartSeen'));

  const perform = async (record: ResetRecord, { signal, commit, log }: StepContext): Promise<void> => {
    const driver = requireDriver(deps, record.station);
    const step = EFFECT_OF_TYPE[record.type];
    await driver.start({ step, operationId: record.id }, signal);
    log.info({ type: record.type }, 'reset started');
    const failure = await awaitEnd(driver, record, step, signal);
    const state = readStationState(await store.station(record.station));
    const change = store.change().setStation(record.station, { [STATION_FIELDS.resetReservedUntil]: undefined });
    if (failure === undefined) {
      change.expectStation(record.station, STATION_FIELDS.bootEpoch, state.fields[STATION_FIELDS.bootEpoch]);
      return commit(finish(change, record, state.bootEpoch));
    }
    // A restart that did not come to pass explains no later boot.
    if (state.restartExpected?.operationId === record.id) {
      change.setStation(record.station, { [STATION_FIELDS.restartExpected]: undefined });
    }
    await commit(change.put(apply(record, 'failed', { reason: 'reset_failed', message: failure })));
  };

  return (record: ResetRecord, context: StepContext): Promise<void> =>
    record.state === 'Accepted' ? begin(record, context) : perform(record, context);
}
