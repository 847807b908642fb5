/** How a reset is stored, and how one of REST is revoked. */
import { isInstalling } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyResetEvent, RESET_DEADLINES, type ResetRecord } from '@khumbu/operations/kinds/reset/record';
import { commitOrThrow, storedOf, type Transaction } from '@khumbu/operations/kinds/store';
import { slotField } from '@khumbu/operations/records/keys';
import { newOperationId, newRecordBase } from '@khumbu/operations/records/record';
import { readStation, STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import type { BootReason } from '@khumbu/shared/contract/schemas';
import type { Undo } from './decision.js';
import type { IntakeDeps, Parts } from './intake-deps.js';
import type { Situation } from './situation.js';

/** What a reset is stored from. */
type Order = Pick<ResetRecord, 'id' | 'origin' | 'type' | 'scheduled'> &
  Partial<Pick<ResetRecord, 'askedBy' | 'title' | 'orderId' | 'takeBackFor' | 'deadlineAt'>>;

const orderOf = ({ origin, type, scheduled, askedBy, title, orderId, deadlineAt }: ResetRecord): Omit<Order, 'id'> => ({
  origin,
  type,
  scheduled,
  ...(askedBy === undefined ? {} : { askedBy }),
  ...(title === undefined ? {} : { title }),
  ...(orderId === undefined ? {} : { orderId }),
  ...(deadlineAt === undefined ? {} : { deadlineAt }),
});

/** Store a reset in its slot, with the boot reason to come. */
export function placeReset(
  { now }: Pick<IntakeDeps, 'now'>,
  transaction: Transaction,
  { station, state }: Pick<Situation, 'station' | 'state'>,
  update: FirmwareUpdateRecord | undefined,
  order: Order,
): ResetRecord {
  const changing = update !== undefined && (update.slotHeld === true || isInstalling(update.state));
  const { id, origin } = order;
  const record: ResetRecord = {
    ...newRecordBase<'reset', 'Accepted'>('reset', 'Accepted', { station, origin, requestId: -1, now: now(), id }),
    deadlineAt: now().monotonic + RESET_DEADLINES.performMs,
    reasonStored: !changing,
    bootEpochBefore: state.bootEpoch,
    ...order,
  };
  transaction
    .expectStation(station, slotField('reset'), state.slot('reset'))
    .put(record)
    .setStation(station, { [slotField('reset')]: id })
    // An install that begins in this very moment changes the record; an update that takes its place changes the slot.
    .expectStation(station, slotField('firmware_update'), state.slot('firmware_update'));
  if (update) transaction.expectRecord(update.id, update.version);
  if (!changing) {
    // Ready before anything happens, so that it is right however soon the station comes back. The boot that ends
    // an install is the update's; the reset then says so when its turn comes.
    const reason: BootReason = order.scheduled ? 'ScheduledReset' : 'RemoteReset';
    const expected = { reason, operationId: id, at: now().monotonic };
    transaction.setStation(station, { [STATION_FIELDS.restartExpected]: JSON.stringify(expected) });
  }
  return record;
}

/**
 * REST was answered that nothing was accepted, so nothing is done, unless another request counts on the reset or it has
 * begun by now. The reset it would have replaced is stored anew: that one was accepted.
 */
export async function revokeReset(
  parts: Parts,
  { requester, operationId, replaced }: Undo & { readonly kind: 'revoke_reset' },
): Promise<void> {
  const { store, read, jobs, now } = parts;
  const { station, answerKey } = requester;
  const record = await read.load(operationId, 'reset');
  // Where the reset was not stored, its answer was not either: one that is stored comes from another gateway, and stands.
  if (record?.state !== 'Accepted' || record.takeBackFor === undefined) return;
  const transaction = store.transaction().forgetAnswer(station, answerKey);
  const state = await readStation(store, station);
  const context = { now: now() };
  const { restartExpected } = STATION_FIELDS;
  transaction.put(applyResetEvent(record, 'failed', context, { reason: 'withdrawn' })).notifyCancel(operationId);
  if (state.restartExpected?.operationId === operationId) {
    transaction
      .expectStation(station, restartExpected, state.fields[restartExpected])
      .setStation(station, { [restartExpected]: undefined });
  }
  const slot = slotField('reset');
  const isInSlot = state.slot('reset') === operationId;
  // One whose restart was only still to be seen is not done again.
  const resumes = isInSlot && replaced?.state === 'Accepted';
  if (isInSlot && !resumes)
    transaction.expectStation(station, slot, operationId).setStation(station, { [slot]: undefined });
  const resumed = resumes
    ? placeReset(parts, transaction, { station, state }, await read.inSlot(state, 'firmware_update'), {
        ...orderOf(replaced),
        id: newOperationId('reset', now()),
      })
    : undefined;
  const stored = await commitOrThrow(store, transaction);
  if (resumed) await jobs.ensure(storedOf(stored, resumed));
}
