/** Resets. One is stored as accepted at once, without an offer: EVerest has stopped itself by then and waits for it. */
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyResetEvent, type ResetRecord } from '@khumbu/operations/kinds/reset/record';
import { storedOf, type Transaction } from '@khumbu/operations/kinds/store';
import { isEnded, newOperationId } from '@khumbu/operations/records/record';
import { NO_RESET_ALLOWED } from '@khumbu/operations/stations/station-state';
import type { ResetRequest } from '@khumbu/shared/contract/schemas';
import { objectionToReplacing } from './decide-replacement.js';
import { decideReset } from './decide-reset.js';
import type { Answer, Attempt, Undo } from './decision.js';
import type { Parts } from './intake-deps.js';
import { requireWorkers } from './needed-workers.js';
import { askedBy, type Requester } from './requester.js';
import type { Situation, SituationInSlot } from './situation.js';
import { placeReset } from './stored-reset.js';

interface ResetSituation extends SituationInSlot<'reset'> {
  readonly update: FirmwareUpdateRecord | undefined;
}

/** More than one request counts on it from now on. */
function share(transaction: Transaction, record: ResetRecord): ResetRecord {
  if (record.takeBackFor === undefined || record.state !== 'Accepted') return record;
  const { takeBackFor: _alone, ...shared } = record;
  transaction.put(shared);
  return shared;
}

/** The answer that shows this record, which the transaction may write. */
const showing = (transaction: Transaction, answer: Answer, record: ResetRecord): Attempt<Answer> => ({
  transaction,
  result: { ...answer, record },
  onStored: (stored) => ({ ...answer, record: storedOf(stored, record) }),
});

export function createReset(parts: Parts) {
  const { read, readDecideCommit, store, jobs, isAbandoned, now } = parts;

  const readSituation = async (requester: Requester): Promise<ResetSituation> => {
    const situation = await read.requestInSlot(requester, 'reset');
    return { ...situation, update: await read.inSlot(situation.state, 'firmware_update') };
  };

  /** The same request over REST was answered before. */
  const decideAgain = ({ stored, storedRecord }: Situation): Attempt<Answer> => {
    const answer: Answer = { ...stored, reply: undefined };
    if (storedRecord?.kind !== 'reset') return { result: answer };
    const transaction = store.transaction();
    const record = share(transaction, storedRecord);
    return record === storedRecord ? { result: { ...answer, record } } : showing(transaction, answer, record);
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
    const answer: Answer = { reply: undefined, operationId };
    if (isOverRest)
      transaction.answer(station, requester.answerKey, { reply: null, operationId }, requester.answerTtlMs);
    // What was reserved for EVerest's reset is used up: an open reset keeps installs away itself.
    else transaction.setStation(station, NO_RESET_ALLOWED);
    if (decision.kind === 'repeat')
      return current ? showing(transaction, answer, share(transaction, current)) : { transaction, result: answer };
    const { type, scheduled = false } = request;
    const own = isOverRest ? { takeBackFor: requester.answerKey } : {};
    const order = { id, origin: requester.origin, type, scheduled, ...askedBy(requester), ...own };
    const record = placeReset(parts, transaction, situation, update, order);
    const { replaces } = decision;
    if (replaces) {
      const context = { now: now() };
      transaction.put(applyResetEvent(replaces, 'superseded', context)).notifyCancel(replaces.id);
    }
    return showing(transaction, answer, record);
  };

  /** If the fate of the commit is unknown, REST answers that nothing was accepted; EVerest's reset is tried until it is stored. */
  const undoOf = (requester: Requester, id: string, { current }: ResetSituation): { undo?: Undo } =>
    requester.origin === 'rest'
      ? { undo: { kind: 'revoke_reset', requester, operationId: id, ...(current ? { replaced: current } : {}) } }
      : {};

  /**
   * EVerest is not answered; resolves when the reset is stored (or was already), with its job added. For REST that is to
   * be done once the answer is out.
   */
  return async (request: ResetRequest, requester: Requester): Promise<Answer> => {
    const isOverRest = requester.origin === 'rest';
    if (isOverRest) requireWorkers('is_reset_allowed', isAbandoned);
    const id = newOperationId('reset', now());
    const answer = await readDecideCommit({
      read: () => readSituation(requester),
      decide: (situation) => {
        const attempt = decide(request, id, situation);
        return requester.isTrial ? { result: attempt.result } : { ...attempt, ...undoOf(requester, id, situation) };
      },
    });
    // The process that stored it may have ended before its job was added.
    const { record } = answer;
    if (!record || isEnded(record) || requester.isTrial) return answer;
    if (isOverRest) return { ...answer, followUp: { kind: 'begin', record } };
    await jobs.ensure(record);
    return answer;
  };
}
