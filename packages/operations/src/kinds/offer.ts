/**
 * Offers. A request that changes something is answered in two commits: the first stores the decision (`offered`) and
 * the answer, then the answer is sent, then the second says that it was (`answered`). Only the second starts work, so
 * what was answered by default is never executed later. What the new operation replaces rests in between and ends with
 * the second commit.
 */
import { fallbackReply } from '@khumbu/shared/contract/channels';
import type { OutboxEntry } from '../outbox/entry.js';
import type { Origin } from '../records/record.js';
import { slotField } from '../stations/station-state.js';
import { applyNetworkEvent, type ConfigureNetworkRecord } from './configure-network/record.js';
import type { Deadlines } from './deadlines.js';
import { type FirmwareUpdateRecord, retrieveAt } from './firmware-update/record.js';
import { applyUpdateEvent, type TransitionContext } from './firmware-update/transition.js';
import type { OperationRecord } from './kinds.js';
import { applyLogEvent, type LogUploadRecord } from './log-upload/record.js';
import type { StoredAnswer, Transaction } from './store.js';

export type OfferedRecord = FirmwareUpdateRecord | LogUploadRecord | ConfigureNetworkRecord;

export const isOffer = (record: OperationRecord): record is OfferedRecord => record.state === 'Offered';

/** The channel each kind of offer answers. */
export const CHANNEL_OF_OFFER = {
  firmware_update: 'update_firmware',
  log_upload: 'upload_logs',
  configure_network: 'configure_network',
} as const;

export interface OfferContext extends Omit<TransitionContext, 'deadlines'> {
  readonly deadlines: Deadlines;
}

type Applied = { readonly record: OperationRecord; readonly statuses: readonly OutboxEntry[] };

function applyToOffer(
  record: OfferedRecord,
  event: 'confirmed' | 'withdrawn' | 'superseded' | 'outOfTime',
  context: OfferContext,
  detail: { reason?: string } = {},
): Applied {
  const { deadlines } = context;
  switch (record.kind) {
    case 'firmware_update':
      return applyUpdateEvent(record, event, { ...context, deadlines: deadlines.update }, detail);
    case 'log_upload':
      return applyLogEvent(record, event, { ...context, deadlines: deadlines.log }, detail);
    case 'configure_network':
      return applyNetworkEvent(record, event, { ...context, deadlines: deadlines.network }, detail);
  }
}

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

/**
 * What EVerest asked for and REST has replaced. EVerest knows of no successor, so it hears of an end as if somebody had
 * canceled it: connectors come back, the CSMS waits no longer.
 */
function endForRest(record: OfferedRecord, context: OfferContext): Applied {
  const { deadlines } = context;
  const detail = { reason: 'replaced_by_rest' };
  switch (record.kind) {
    case 'firmware_update':
      return applyUpdateEvent(record, 'canceled', { ...context, deadlines: deadlines.update }, detail);
    case 'log_upload':
      return applyLogEvent(record, 'canceled', { ...context, deadlines: deadlines.log }, detail);
    case 'configure_network':
      return applyNetworkEvent(record, 'failed', { ...context, deadlines: deadlines.network }, detail);
  }
}

/** An operation of origin `by` takes this one's place. */
export function supersede(
  transaction: Transaction,
  replaced: OfferedRecord,
  by: Origin,
  context: OfferContext,
): Transaction {
  const isForeign = by === 'rest' && replaced.origin === 'everest' && !isOffer(replaced);
  const end = isForeign ? endForRest(replaced, context) : applyToOffer(replaced, 'superseded', context);
  return transaction.put(end.record).enqueueStatus(replaced.station, end.statuses).notifyCancel(replaced.id);
}

/** Second commit: the answer is out. What is replaced ends first, so that its last status comes before the new ones. */
export function confirmOffer(
  transaction: Transaction,
  record: OfferedRecord,
  replaces: OfferedRecord | undefined,
  context: OfferContext,
): { transaction: Transaction; record: OfferedRecord } {
  if (replaces && replaces.endedAt === undefined) supersede(transaction, replaces, record.origin, context);
  const begun = applyToOffer(record, 'confirmed', context);
  let accepted = begun.record as OfferedRecord;
  const statuses = [...begun.statuses];
  if (accepted.kind === 'firmware_update' && (retrieveAt(accepted) ?? 0) > context.now.wall) {
    const later = applyUpdateEvent(accepted, 'retrieveLater', { ...context, deadlines: context.deadlines.update });
    accepted = later.record;
    statuses.push(...later.statuses);
  }
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
  context: OfferContext,
  successor?: OfferedRecord,
): { transaction: Transaction; resumed: OfferedRecord | undefined } {
  const end = applyToOffer(record, 'withdrawn', context);
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
    const answer: StoredAnswer = { reply: fallbackReply(CHANNEL_OF_OFFER[record.kind]) };
    transaction.answer(record.station, record.answerKey, answer);
  }
  if (replaces?.heldFor !== record.id) return { transaction, resumed: undefined };
  if (successor) {
    transaction.put({ ...successor, supersedes: replaces.id }).put({ ...replaces, heldFor: successor.id });
    return { transaction, resumed: undefined };
  }
  const { heldFor: _heldFor, ...rest } = replaces;
  const resumed = { ...rest, updatedAt: context.now.wall } as OfferedRecord;
  transaction.put(resumed);
  return { transaction, resumed };
}

/**
 * The answer was sent, and nobody will know whether it was heard. It counts as heard: what the operation replaces ends, so
 * that nothing is installed which was replaced, and it fails itself, so that nobody waits for it.
 */
export function failOffer(
  transaction: Transaction,
  record: OfferedRecord,
  replaces: OfferedRecord | undefined,
  context: OfferContext,
): Transaction {
  if (replaces) supersede(transaction, replaces, record.origin, context);
  const accepted = applyToOffer(record, 'confirmed', context).record as OfferedRecord;
  const end = applyToOffer(accepted, 'outOfTime', context, { reason: 'answer_unconfirmed' });
  return transaction.put(end.record).enqueueStatus(record.station, end.statuses);
}
