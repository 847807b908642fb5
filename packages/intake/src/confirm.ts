/** The second commit of an offer: its answer is out, so its work begins. */
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { confirmOffer, isOffer, type OfferedRecord, supersede } from '@khumbu/operations/kinds/offer';
import { commitOrThrow, storedOf } from '@khumbu/operations/kinds/store';
import { isEnded } from '@khumbu/operations/records/record';
import type { Attempt } from './decision.js';
import type { Parts } from './intake-deps.js';
import { readReplaced } from './offers.js';

export function createConfirm({ store, jobs, read, readDecideCommit }: Parts) {
  const readOffer = async (operationId: string) => {
    const record = await store.load(operationId);
    if (!record || isEnded(record)) return undefined;
    // Oldest first: more than one where an offer was replaced before its answer was out.
    const replaces: OfferedRecord[] = [];
    for (let next: OperationRecord | undefined = record; next && isOffer(next); ) {
      next = await readReplaced(store, next);
      if (next) replaces.unshift(next);
    }
    const { state } = await read.station(record.station);
    return { record, replaces, context: read.contextOf(record.station, state) };
  };

  /** The result is the record that wants its job; one that was confirmed before may not have got it. */
  const decideConfirm = (found: Awaited<ReturnType<typeof readOffer>>): Attempt<OperationRecord | undefined> => {
    if (!found || !isOffer(found.record)) return { result: found?.record };
    const { record, replaces, context } = found;
    const transaction = store.transaction();
    for (const older of replaces.slice(0, -1)) supersede(transaction, older, record.origin, context);
    const confirmed = confirmOffer(transaction, record, replaces.at(-1), context);
    return {
      transaction,
      result: confirmed.record,
      onStored: (stored) => storedOf(stored, confirmed.record),
      undo: { kind: 'confirm', operationId: record.id },
    };
  };

  /** The answer is out. An offer that was withdrawn stays so. Safe to repeat. */
  const confirmOffered = async (operationId: string): Promise<void> => {
    const accepted = await readDecideCommit({ read: () => readOffer(operationId), decide: decideConfirm });
    if (accepted) await jobs.ensure(accepted);
  };

  /** The fate of the confirmation is unknown. The answer is out, so it is made again, not revoked. */
  const confirmAgain = async (operationId: string): Promise<void> => {
    const { transaction, result } = decideConfirm(await readOffer(operationId));
    const stored = transaction ? await commitOrThrow(store, transaction) : [];
    if (result) await jobs.ensure(storedOf(stored, result));
  };

  /** The offer's answer was sent, and it is not known whether the station received it. */
  const noteAnswerSent = async (operationId: string): Promise<void> => {
    const record = await store.load(operationId);
    if (record && isOffer(record)) await commitOrThrow(store, store.transaction().put({ ...record, answerSent: true }));
  };

  return { confirmOffered, confirmAgain, noteAnswerSent };
}
