/**
 * The last work on an update that ran out of time while its station was being changed: its slot is kept until the station is
 * seen idle, and the station must not come up some day in the image of an update that was told as failed. What was found is
 * told with the outcome.
 */
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import { releaseSlot } from '@khumbu/operations/jobs/release-slot';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { StoredWait } from '@khumbu/operations/records/wait-words';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Recovered, StationDriver } from '@khumbu/station-drivers/port';
import { noteEvidence } from '../observe.js';
import { type StepDeps, viewStation } from './step-deps.js';

/** What is found of it at the station, for people. */
const FOUND: Readonly<Record<Recovered, string | undefined>> = {
  nothing: undefined,
  put_back: 'the station ended its installation afterwards; the slot that runs is the next to boot again',
  runs: 'the station runs its image all the same',
  not_supported: 'its image may start when the station boots again: the driver cannot put back what was switched',
};
const MAY_START = 'its image may start when the station boots again, and could not be kept from it';

/** A station that says so often that it cannot is left as it is: no other update could ever be installed there. */
const RECOVERY_TRIES = 10;

async function recoverAt(
  driver: StationDriver,
  { id, faults = 0 }: FirmwareUpdateRecord,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!driver.recover) return FOUND.not_supported;
  try {
    return FOUND[await driver.recover(id, signal)];
  } catch (error) {
    if (!hasCode(error, 'RECOVERY_FAILED') || faults < RECOVERY_TRIES) throw error;
    return `${MAY_START}: ${describeError(error)}`;
  }
}

export function createReleaseWhenIdle(deps: StepDeps) {
  const { store, driverOf, now } = deps;

  return async (record: FirmwareUpdateRecord, { signal, commit }: StepContext): Promise<void> => {
    const { profile, state } = await viewStation(deps, record.station);
    const transaction = store.transaction();
    let found: string | undefined;
    const obstacle = async (): Promise<StoredWait | undefined> => {
      if (!profile) return undefined;
      const driver = driverOf(profile);
      // A worker that was frozen since before its first effect on the station must not begin now.
      await driver.retire(record.id, signal);
      const asked = now();
      const evidence = await driver.observe(signal);
      if (evidence.busy) return 'station_busy';
      const runs = evidence.runningInstalledBy === record.id;
      found = runs ? FOUND.runs : await recoverAt(driver, record, signal);
      if (runs) noteEvidence(transaction, record.station, state, evidence, asked);
      return undefined;
    };
    const next = await releaseSlot(record, obstacle, now);
    const { outcome } = next;
    const message = [outcome?.message, found].filter((text) => text !== undefined).join('; ');
    await commit(
      transaction.put(outcome && found !== undefined ? { ...next, outcome: { ...outcome, message } } : next),
    );
  };
}
