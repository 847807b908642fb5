/** What an error of the driver makes of an update: a wait that is shown, an end with its reason, or another try. */
import { isBeforeInstall } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { Transaction } from '@khumbu/operations/kinds/store';
import { requireProfile } from '@khumbu/shared/stations/stations-file';
import type { EffectStep } from '@khumbu/station-drivers/port';
import { finalFault, waitedOut } from '../driver-faults.js';
import { hasBegun } from '../has-begun.js';
import { applyAll, type StepDeps, viewStation } from './step-deps.js';

/** `step`: the effect that failed. Resolves with what is stored; `undefined`: it is tried again as any other error. */
export async function settleUpdate(
  deps: StepDeps,
  record: FirmwareUpdateRecord,
  step: EffectStep,
  error: unknown,
  signal: AbortSignal,
): Promise<Transaction | undefined> {
  const { store, driverOf, now } = deps;
  const later = waitedOut(record, error, now());
  if (later) return store.transaction().put(later);
  const final = finalFault(error);
  if (!final) return undefined;
  const { profile, context } = await viewStation(deps, record.station);
  try {
    const driver = driverOf(requireProfile(profile));
    // Of what the station has begun it alone can tell the end.
    if (!isBeforeInstall(record.state) && (await hasBegun(driver, record.id, step, signal))) return undefined;
  } catch (second) {
    const looked = waitedOut(record, second, now());
    if (!looked) throw second;
    return store.transaction().put(looked);
  }
  const transaction = store.transaction();
  applyAll(transaction, record, [{ event: 'installFailed', detail: final }], context);
  return transaction;
}
