/** Resets at the intake: whether one may follow, and the reset itself. */
import { isInstalling } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { isEnded } from '@khumbu/operations/kinds/kinds';
import { applyResetEvent, type ResetRecord } from '@khumbu/operations/kinds/reset/record';
import type { Transaction } from '@khumbu/operations/kinds/store';
import { newOperationId, newRecordBase } from '@khumbu/operations/records/record';
import {
  NO_RESET_ALLOWED,
  readStationState,
  STATION_FIELDS,
  type StationState,
  slotField,
} from '@khumbu/operations/stations/station-state';
import type { BootReason, ResetRequest } from '@khumbu/shared/contract/schemas';
import type { Admission } from './admission.js';
import { objectionToReplacing } from './decide-replacement.js';
import { decideReset, decideResetAllowed } from './decide-reset.js';
import { requireWorkers } from './needed-workers.js';
import { type Answer, askedBy, type IntakeDeps, type Requester } from './requester.js';

/**
 * The decision was made from this update, or from there being none: an install that begins in this very moment changes
 * the record, an update that takes its place changes the slot.
 */
function expectUpdate(
  transaction: Transaction,
  station: string,
  state: StationState,
  update: FirmwareUpdateRecord | undefined,
) {
  transaction.expectStation(station, slotField('firmware_update'), state.slot('firmware_update'));
  if (update) transaction.expectRecord(update.id, update.version);
}

/** What a reset is stored from. */
type Order = Pick<ResetRecord, 'id' | 'origin' | 'type' | 'scheduled'> &
  Partial<Pick<ResetRecord, 'askedBy' | 'takeBackFor' | 'deadlineAt'>>;

const orderOf = ({ origin, type, scheduled, askedBy, deadlineAt }: ResetRecord): Omit<Order, 'id'> => ({
  origin,
  type,
  scheduled,
  ...(askedBy === undefined ? {} : { askedBy }),
  ...(deadlineAt === undefined ? {} : { deadlineAt }),
});

export function createResets(deps: IntakeDeps, { admit, capture, inSlot, insist, now }: Admission) {
  const { desk, jobs, deadlines } = deps;
  const { store } = desk;

  const isResetAllowed = async (requester: Requester, reserve: boolean): Promise<Answer> =>
    admit('is_reset_allowed', requester, async ({ state, profile }) => {
      const update = await inSlot<FirmwareUpdateRecord>(state, 'firmware_update');
      const permission = decideResetAllowed({ profile, update });
      if (!permission.allowed) return { kind: 'answer', reply: false, reason: permission.reason };
      const reservation = {
        [STATION_FIELDS.resetReservedUntil]: String(now().monotonic + deps.resetReservationMs),
        [STATION_FIELDS.resetReservedBy]: requester.answerKey,
        [STATION_FIELDS.resetAllowedEpoch]: String(state.bootEpoch),
      };
      return {
        kind: 'answer',
        reply: true,
        ...(reserve ? { fields: reservation } : {}),
        guard: (transaction) => expectUpdate(transaction, requester.station, state, update),
      };
    });

  /** Store a reset in its slot, with the boot reason to come. */
  const place = async (
    transaction: Transaction,
    station: string,
    state: StationState,
    order: Order,
  ): Promise<ResetRecord> => {
    const update = await inSlot<FirmwareUpdateRecord>(state, 'firmware_update');
    const changing = update !== undefined && (update.slotHeld === true || isInstalling(update.state));
    const { id, origin } = order;
    const record: ResetRecord = {
      ...newRecordBase<'reset', 'Accepted'>('reset', 'Accepted', { station, origin, requestId: -1, now: now(), id }),
      deadlineAt: now().monotonic + deadlines.reset.performMs,
      reasonStored: !changing,
      bootEpochBefore: state.bootEpoch,
      ...order,
    };
    transaction
      .expectStation(station, slotField('reset'), state.slot('reset'))
      .put(record)
      .setStation(station, { [slotField('reset')]: id });
    expectUpdate(transaction, station, state, update);
    if (!changing) {
      // Ready before anything happens, so that it is right however soon the station comes back. The boot that ends
      // an install is the update's; the reset then says so when its turn comes.
      const reason: BootReason = order.scheduled ? 'ScheduledReset' : 'RemoteReset';
      const expected = { reason, operationId: id, at: now().monotonic };
      transaction.setStation(station, { [STATION_FIELDS.restartExpected]: JSON.stringify(expected) });
    }
    return record;
  };

  /** More than one request counts on it from now on. */
  const keep = (transaction: Transaction, record: ResetRecord): ResetRecord => {
    if (record.takeBackFor === undefined || record.state !== 'Accepted') return record;
    const { takeBackFor: _alone, ...kept } = record;
    transaction.put(kept);
    return { ...kept, version: record.version + 1 };
  };

  /**
   * REST was told that nothing was accepted, so nothing is done, unless somebody else counts on it or it has begun by now.
   * What it would have replaced is asked for anew: whoever asked for that was refused nothing.
   */
  const revoke = async ({ station, answerKey }: Requester, id: string, replaced?: ResetRecord): Promise<void> => {
    const record = (await store.load(id)) as ResetRecord | undefined;
    const transaction = store.transaction().forgetAnswer(station, answerKey);
    if (!record) return insist(transaction);
    if (record.state !== 'Accepted' || record.takeBackFor === undefined) return;
    const state = readStationState(await store.station(station));
    const context = { now: now(), deadlines: deadlines.reset };
    const { restartExpected } = STATION_FIELDS;
    transaction.put(applyResetEvent(record, 'failed', context, { reason: 'withdrawn' })).notifyCancel(id);
    if (state.restartExpected?.operationId === id) {
      transaction.expectStation(station, restartExpected, state.fields[restartExpected]);
      transaction.setStation(station, { [restartExpected]: undefined });
    }
    const isInSlot = state.slot('reset') === id;
    // Unless its own restart was only still to be seen.
    const isLost = isInSlot && replaced?.state === 'Accepted';
    const again = isLost ? { ...orderOf(replaced), id: newOperationId('reset', now()) } : undefined;
    if (isInSlot && !again) {
      const slot = slotField('reset');
      transaction.expectStation(station, slot, id).setStation(station, { [slot]: undefined });
    }
    const resumed = again && (await place(transaction, station, state, again));
    await insist(transaction);
    if (resumed) await jobs.ensure({ ...resumed, version: resumed.version + 1 });
  };

  /**
   * EVerest is not answered; resolves when the reset is stored (or was already), with its job added. For REST that is to be
   * done once the answer is out.
   */
  const reset = async (request: ResetRequest, requester: Requester): Promise<Answer> => {
    const { station, origin, answerKey } = requester;
    const isOverRest = origin === 'rest';
    if (isOverRest) requireWorkers('is_reset_allowed', deps.isAbandoned);
    const scheduled = request.scheduled ?? false;
    const id = newOperationId('reset', now());
    let replaced: ResetRecord | undefined;
    /** What was reserved for EVerest's reset is used up: an open reset keeps installs away itself. */
    const asked = (operationId: string): Transaction =>
      isOverRest
        ? store.transaction().answer(station, answerKey, { reply: null, operationId }, requester.answerTtlMs)
        : store.transaction().setStation(station, NO_RESET_ALLOWED);
    const stored = await desk.decide<Answer>(
      async () => {
        replaced = undefined;
        const { state, profile, answer } = await capture(requester);
        if (answer && isOverRest) {
          const { operationId, reason } = answer;
          const found =
            operationId === undefined ? undefined : ((await store.load(operationId)) as ResetRecord | undefined);
          const what = {
            ...(operationId === undefined ? {} : { operationId }),
            ...(reason === undefined ? {} : { reason }),
          };
          if (!found) return { transaction: undefined, result: { reply: undefined, ...what } };
          const transaction = store.transaction();
          const record = keep(transaction, found);
          return {
            transaction: record === found ? undefined : transaction,
            result: { reply: undefined, ...what, record },
          };
        }
        const current = await inSlot<ResetRecord>(state, 'reset');
        const decision = decideReset(request, { profile, update: undefined, current });
        if (decision.kind === 'refuse')
          return { transaction: undefined, result: { reply: undefined, reason: decision.reason } };
        const objection = objectionToReplacing(requester, current);
        if (objection) return { transaction: undefined, result: { reply: undefined, reason: objection } };
        if (decision.kind === 'repeat') {
          const { operationId } = decision;
          const transaction = asked(operationId);
          // The one who stored it may not have got as far as its job.
          const record = current ? { record: keep(transaction, current) } : {};
          return { transaction, result: { reply: undefined, operationId, ...record } };
        }
        const transaction = asked(id);
        const own = isOverRest ? { takeBackFor: answerKey } : {};
        const order = { id, origin, type: request.type, scheduled, ...askedBy(requester), ...own };
        const record = await place(transaction, station, state, order);
        if (decision.replaces) {
          replaced = decision.replaces;
          const context = { now: now(), deadlines: deadlines.reset };
          transaction.put(applyResetEvent(replaced, 'superseded', context)).notifyCancel(replaced.id);
        }
        return { transaction, result: { reply: undefined, operationId: id, record } };
      },
      // EVerest's is asked for again until it is stored; one that was stored is found in the slot.
      async () => {
        if (isOverRest) await revoke(requester, id, replaced);
      },
    );
    const { record } = stored;
    if (isOverRest) return { ...stored, followUp: { kind: 'begin', record } };
    if (record && !isEnded(record)) await jobs.ensure(record);
    return stored;
  };

  return { isResetAllowed, reset };
}
