/** The second commit of an offer: its answer is out, so its work begins. */
import type { KindContext } from '@khumbu/operations/kinds/kind-definition';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { confirmOffer, isOffer, type OfferedRecord, supersede } from '@khumbu/operations/kinds/offer';
import { isEnded } from '@khumbu/operations/records/record';
import type { Attempt } from './decision.js';
import type { Parts } from './intake-deps.js';
import { commitOrThrow, readReplaced } from './offers.js';

interface Confirmation {
  readonly record: OperationRecord | undefined;
  readonly offer?: {
    readonly record: OfferedRecord;
    /** What it takes the place of, oldest first: more than one where an offer was replaced before its answer was out. */
    readonly replaces: readonly OfferedRecord[];
    readonly context: KindContext;
  };
}

export function createConfirm({ store, jobs, read, readDecideCommit }: Parts) {
  const readOffer = async (operationId: string): Promise<Confirmation> => {
    const record = await store.load(operationId);
    if (!record || isEnded(record)) return { record: undefined };
    if (!isOffer(record)) return { record };
    const replaces: OfferedRecord[] = [];
    for (let next = await readReplaced(store, record); next; next = await readReplaced(store, next)) {
      replaces.unshift(next);
      if (!isOffer(next)) break;
    }
    const { state } = await read.station(record.station);
    return { record, offer: { record, replaces, context: read.contextOf(record.station, state) } };
  };

  /** The result is the record that wants its job; one that was confirmed before may not have got it. */
  const decideConfirm = ({ record, offer }: Confirmation): Attempt<OperationRecord | undefined> => {
    if (!offer) return { result: record };
    const transaction = store.transaction();
    const replaces = [...offer.replaces];
    const newest = replaces.pop();
    for (const older of replaces) supersede(transaction, older, offer.record.origin, offer.context);
    const confirmed = confirmOffer(transaction, offer.record, newest, offer.context);
    return { transaction, result: confirmed.record, undo: { kind: 'confirm', operationId: offer.record.id } };
  };

  /** The answer is out. An offer that was withdrawn stays so. Safe to repeat. */
  const confirmOffered = async (operationId: string): Promise<void> => {
    const accepted = await readDecideCommit({ read: () => readOffer(operationId), decide: decideConfirm });
    if (accepted) await jobs.ensure(accepted);
  };

  /** The fate of the confirmation is unknown. The answer is out, so it is made again, not taken back. */
  const confirmAgain = async (operationId: string): Promise<void> => {
    const { transaction, result } = decideConfirm(await readOffer(operationId));
    if (transaction) await commitOrThrow(store, transaction);
    if (result) await jobs.ensure(result);
  };

  /** The offer's answer was sent, and it is not known whether the station received it. */
  const noteAnswerSent = async (operationId: string): Promise<void> => {
    const record = await store.load(operationId);
    if (record && isOffer(record)) await commitOrThrow(store, store.transaction().put({ ...record, answerSent: true }));
  };

  return { confirmOffered, confirmAgain, noteAnswerSent };
}
