/**
 * Offers. A request that changes something is answered in two commits: the first stores the decision (`offered`) and
 * the answer, then the answer is sent, then the second says that it was (`answered`). Only the second starts work, so
 * what was answered by default is never executed later. What the new operation replaces rests in between and ends with
 * the second commit.
 */
import { fallbackReply, type RequestChannelName } from '@khumbu/shared/contract/channels';
import { slotField } from '../records/keys.js';
import type { Reason } from '../records/reasons.js';
import { isEnded, type Origin, without } from '../records/record.js';
import type { StoredAnswer } from '../records/transaction.js';
import type { Applied, KindContext } from './kind-definition.js';
import { definitionOf, KINDS, type OperationKind, type OperationRecord, type RecordOf } from './kinds.js';
import type { Transaction } from './store.js';

/** A record of a kind that is offered, in whatever state. */
export type OfferedRecord = {
  [K in OperationKind]: 'Offered' extends RecordOf<K>['state'] ? RecordOf<K> : never;
}[OperationKind];

/** What the definition of such a kind has. */
interface OfferedKind {
  readonly channel: RequestChannelName;
  apply(
    record: OfferedRecord,
    event: 'confirmed' | 'withdrawn' | 'superseded' | 'canceled' | 'outOfTime',
    context: KindContext,
    detail?: { readonly reason?: Reason },
  ): Applied<OfferedRecord>;
  onConfirmed?(record: OfferedRecord, context: KindContext): Applied<OfferedRecord> | undefined;
}
const kindOf = (record: OfferedRecord): OfferedKind => KINDS[record.kind];

/** Of a kind that is offered. */
export const isOfferable = (record: OperationRecord): record is OfferedRecord =>
  definitionOf(record).channel !== undefined;

/** The requests whose answers offer one. */
export const OFFERING_CHANNELS = Object.values(KINDS).flatMap((kind) => ('channel' in kind ? [kind.channel] : []));

/** Its answer is not known to be out. */
export const isOffer = (record: OperationRecord): record is OfferedRecord => record.state === 'Offered';

/** First commit: the new record in its slot, what it replaces at rest, and the answer to come. */
export function offer(
  transaction: Transaction,
  record: OfferedRecord,
  replaces: OfferedRecord | undefined,
): Transaction {
  const slot = slotField(record.kind);
  transaction.put(record).setStation(record.station, { [slot]: record.id });
  if (replaces) {
    const until = record.deadlineAt === undefined ? {} : { until: record.deadlineAt };
    const hold = { since: record.createdAt, ...until };
    transaction.put({ ...replaces, heldFor: record.id, hold }).notifyCancel(replaces.id);
  }
  return transaction;
}

/** An operation of origin `by` takes this one's place. */
export function supersede(
  transaction: Transaction,
  replaced: OfferedRecord,
  by: Origin,
  context: KindContext,
): Transaction {
  const isForeign = by === 'rest' && replaced.origin === 'everest' && !isOffer(replaced);
  // EVerest knows of no successor: for it the operation ends as if it were canceled, so that its connectors come back and its
  // CSMS waits no longer.
  const end = isForeign
    ? kindOf(replaced).apply(replaced, 'canceled', context, { reason: 'replaced_by_rest' })
    : kindOf(replaced).apply(replaced, 'superseded', context);
  return transaction.put(end.record).enqueueStatus(replaced.station, end.statuses).notifyCancel(replaced.id);
}

/** Second commit: the answer is out. What is replaced ends first, so that its last status comes before the new ones. */
export function confirmOffer(
  transaction: Transaction,
  record: OfferedRecord,
  replaces: OfferedRecord | undefined,
  context: KindContext,
): { transaction: Transaction; record: OfferedRecord } {
  if (replaces && !isEnded(replaces)) supersede(transaction, replaces, record.origin, context);
  const kind = kindOf(record);
  const begun = kind.apply(record, 'confirmed', context);
  const next = kind.onConfirmed?.(begun.record, context);
  const accepted = next?.record ?? begun.record;
  const statuses = [...begun.statuses, ...(next?.statuses ?? [])];
  return { transaction: transaction.put(accepted).enqueueStatus(record.station, statuses), record: accepted };
}

/**
 * The answer was the default after all: nothing follows from the request, and what it would have replaced goes on; or
 * rests on for `successor`, the offer that was made in place of this one.
 */
export function withdrawOffer(
  transaction: Transaction,
  record: OfferedRecord,
  replaces: OfferedRecord | undefined,
  slotOfStation: string | undefined,
  context: KindContext,
  successor?: OfferedRecord,
): { transaction: Transaction; resumed: OfferedRecord | undefined } {
  const kind = kindOf(record);
  const end = kind.apply(record, 'withdrawn', context);
  transaction.put(end.record);
  const slot = slotField(record.kind);
  if (slotOfStation === record.id) {
    transaction
      .expectStation(record.station, slot, record.id)
      .setStation(record.station, { [slot]: record.supersedes });
  }
  if (record.answerKey !== undefined && record.origin === 'rest') {
    // There is no default over REST: it was told that nothing is known, and may ask again.
    transaction.forgetAnswer(record.station, record.answerKey);
  } else if (record.answerKey !== undefined) {
    const answer: StoredAnswer = { reply: fallbackReply(kind.channel) };
    transaction.answer(record.station, record.answerKey, answer);
  }
  if (replaces?.heldFor !== record.id) return { transaction, resumed: undefined };
  if (successor) {
    transaction.put({ ...successor, supersedes: replaces.id }).put({ ...replaces, heldFor: successor.id });
    return { transaction, resumed: undefined };
  }
  const resumed = { ...without(replaces, 'heldFor'), updatedAt: context.now.wall };
  transaction.put(resumed);
  return { transaction, resumed };
}

/**
 * The answer was sent, and it will never be known whether EVerest received it. It counts as received: what the operation
 * replaces ends, so that no replaced update is installed, and it fails itself, so that EVerest does not wait for it.
 */
export function failOffer(
  transaction: Transaction,
  record: OfferedRecord,
  replaces: OfferedRecord | undefined,
  context: KindContext,
): Transaction {
  if (replaces) supersede(transaction, replaces, record.origin, context);
  const kind = kindOf(record);
  const accepted = kind.apply(record, 'confirmed', context).record;
  const end = kind.apply(accepted, 'outOfTime', context, { reason: 'answer_unconfirmed' });
  return transaction.put(end.record).enqueueStatus(record.station, end.statuses);
}
