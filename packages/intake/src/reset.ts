/** Resets. One is stored as accepted at once, without an offer: EVerest has stopped itself by then and waits for it. */
import { isInstalling } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyResetEvent, RESET_DEADLINES, type ResetRecord } from '@khumbu/operations/kinds/reset/record';
import type { Transaction } from '@khumbu/operations/kinds/store';
import { slotField } from '@khumbu/operations/records/keys';
import { isEnded, newOperationId, newRecordBase } from '@khumbu/operations/records/record';
import { NO_RESET_ALLOWED, readStation, STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import type { BootReason, ResetRequest } from '@khumbu/shared/contract/schemas';
import { commitOrThrow } from './commit-or-throw.js';
import { objectionToReplacing } from './decide-replacement.js';
import { decideReset } from './decide-reset.js';
import type { Answer, Attempt, Undo } from './decision.js';
import type { Parts } from './intake-deps.js';
import { requireWorkers } from './needed-workers.js';
import { askedBy, type Requester } from './requester.js';
import type { Situation } from './situation.js';

interface ResetSituation extends Situation {
  readonly current: ResetRecord | undefined;
  readonly update: FirmwareUpdateRecord | undefined;
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

/** More than one request counts on it from now on. */
function share(transaction: Transaction, record: ResetRecord): ResetRecord {
  if (record.takeBackFor === undefined || record.state !== 'Accepted') return record;
  const { takeBackFor: _alone, ...shared } = record;
  transaction.put(shared);
  return { ...shared, version: record.version + 1 };
}

export function createReset({ read, readDecideCommit, store, jobs, isAbandoned, now }: Parts) {
  /** Store a reset in its slot, with the boot reason to come. */
  const place = (
    transaction: Transaction,
    { station, state }: Pick<Situation, 'station' | 'state'>,
    update: FirmwareUpdateRecord | undefined,
    order: Order,
  ): ResetRecord => {
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
  };

  const readSituation = async (requester: Requester): Promise<ResetSituation> => {
    const situation = await read.request(requester);
    const current = await read.inSlot(situation.state, 'reset');
    return { ...situation, current, update: await read.inSlot(situation.state, 'firmware_update') };
  };

  /** The same request over REST was answered before. */
  const decideAgain = ({ stored, storedRecord }: Situation): Attempt<Answer> => {
    const { operationId, reason } = stored ?? {};
    const answer: Answer = {
      reply: undefined,
      ...(operationId === undefined ? {} : { operationId }),
      ...(reason === undefined ? {} : { reason }),
    };
    if (storedRecord?.kind !== 'reset') return { result: answer };
    const transaction = store.transaction();
    const record = share(transaction, storedRecord);
    return { result: { ...answer, record }, ...(record === storedRecord ? {} : { transaction }) };
  };

  const decide = (request: ResetRequest, id: string, situation: ResetSituation): Attempt<Answer> => {
    const { requester, station, profile, current, update } = situation;
    const isOverRest = requester.origin === 'rest';
    if (situation.stored && isOverRest) return decideAgain(situation);
    const decision = decideReset(request, { profile, current });
    const reason = decision.kind === 'refuse' ? decision.reason : objectionToReplacing(requester, current);
    if (decision.kind === 'refuse' || reason !== undefined)
      return { result: { reply: undefined, ...(reason === undefined ? {} : { reason }) } };
    const operationId = decision.kind === 'repeat' ? decision.operationId : id;
    const transaction = store.transaction();
    if (isOverRest)
      transaction.answer(station, requester.answerKey, { reply: null, operationId }, requester.answerTtlMs);
    // What was reserved for EVerest's reset is used up: an open reset keeps installs away itself.
    else transaction.setStation(station, NO_RESET_ALLOWED);
    if (decision.kind === 'repeat') {
      const record = current && share(transaction, current);
      return { transaction, result: { reply: undefined, operationId, ...(record ? { record } : {}) } };
    }
    const { type, scheduled = false } = request;
    const own = isOverRest ? { takeBackFor: requester.answerKey } : {};
    const order = { id, origin: requester.origin, type, scheduled, ...askedBy(requester), ...own };
    const record = place(transaction, situation, update, order);
    const { replaces } = decision;
    if (replaces) {
      const context = { now: now() };
      transaction.put(applyResetEvent(replaces, 'superseded', context)).notifyCancel(replaces.id);
    }
    return { transaction, result: { reply: undefined, operationId, record } };
  };

  /** A reset of REST whose fate was unknown, which was told that nothing was accepted; of EVerest: it asks again. */
  const undoOf = (requester: Requester, id: string, { current }: ResetSituation): { undo?: Undo } =>
    requester.origin === 'rest'
      ? { undo: { kind: 'revoke_reset', requester, operationId: id, ...(current ? { replaced: current } : {}) } }
      : {};

  /**
   * EVerest is not answered; resolves when the reset is stored (or was already), with its job added. For REST that is to
   * be done once the answer is out.
   */
  const reset = async (request: ResetRequest, requester: Requester): Promise<Answer> => {
    const isOverRest = requester.origin === 'rest';
    if (isOverRest) requireWorkers('is_reset_allowed', isAbandoned);
    const id = newOperationId('reset', now());
    const answer = await readDecideCommit({
      read: () => readSituation(requester),
      decide: (situation) => ({ ...decide(request, id, situation), ...undoOf(requester, id, situation) }),
    });
    // The process that stored it may have ended before its job was added.
    const { record } = answer;
    if (!record || isEnded(record)) return answer;
    if (isOverRest) return { ...answer, followUp: { kind: 'begin', record } };
    await jobs.ensure(record);
    return answer;
  };

  /**
   * REST was told that nothing was accepted, so nothing is done, unless another request counts on the reset or it has
   * begun by now. What it would have replaced is stored anew: whoever asked for that was refused nothing.
   */
  const revokeReset = async ({
    requester,
    operationId,
    replaced,
  }: Undo & { readonly kind: 'revoke_reset' }): Promise<void> => {
    const { station, answerKey } = requester;
    const record = await read.load(operationId, 'reset');
    const transaction = store.transaction().forgetAnswer(station, answerKey);
    if (!record) return commitOrThrow(store, transaction);
    if (record.state !== 'Accepted' || record.takeBackFor === undefined) return;
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
      ? place(transaction, { station, state }, await read.inSlot(state, 'firmware_update'), {
          ...orderOf(replaced),
          id: newOperationId('reset', now()),
        })
      : undefined;
    await commitOrThrow(store, transaction);
    if (resumed) await jobs.ensure(resumed);
  };

  return { reset, revokeReset };
}
