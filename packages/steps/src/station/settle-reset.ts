/** How a reset fails, and what an error of the driver makes of one. */
import { applyResetEvent, type ResetRecord } from '@khumbu/operations/kinds/reset/record';
import type { Transaction } from '@khumbu/operations/kinds/store';
import type { Reason } from '@khumbu/operations/records/reasons';
import { readStation, STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import type { EffectStep } from '@khumbu/station-drivers/port';
import { finalFault, waitedOut } from '../driver-faults.js';
import { hasBegun } from '../has-begun.js';
import { requireDriver, type StepDeps } from './step-deps.js';

/** A restart that failed is no reason for a later boot. */
export async function failReset(
  { store, now }: StepDeps,
  record: ResetRecord,
  detail: { readonly reason: Reason; readonly message: string },
): Promise<Transaction> {
  const { restartExpected } = await readStation(store, record.station);
  const transaction = store.transaction().put(applyResetEvent(record, 'failed', { now: now() }, detail));
  if (restartExpected?.operationId === record.id)
    transaction.setStation(record.station, { [STATION_FIELDS.restartExpected]: undefined });
  return transaction;
}

/** Resolves with what is stored; `undefined`: it is tried again as any other error. */
export async function settleReset(
  deps: StepDeps,
  record: ResetRecord,
  step: EffectStep,
  error: unknown,
  signal: AbortSignal,
): Promise<Transaction | undefined> {
  const later = waitedOut(record, error, deps.now());
  if (later) return deps.store.transaction().put(later);
  const final = finalFault(error);
  if (!final) return undefined;
  // A driver that cannot be loaded cannot be asked either.
  const isOpen =
    final.reason !== 'driver_unusable' &&
    (await hasBegun(requireDriver(deps, record.station), record.id, step, signal));
  return isOpen ? undefined : failReset(deps, record, final);
}
