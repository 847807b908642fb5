/** What accepting, confirming and revoking an offer share. */
import { isOfferable, type OfferedRecord } from '@khumbu/operations/kinds/offer';
import type { Store } from '@khumbu/operations/kinds/store';
import { isEnded, newRecordBase, OFFER_MS, type RecordBase } from '@khumbu/operations/records/record';
import type { IntakeDeps } from './intake-deps.js';
import { askedBy, type Requester } from './requester.js';

/** What every new offer has in common. It ends by itself when its answer is not confirmed in time. */
export function offeredBase<K extends OfferedRecord['kind']>(
  { now, redeliveryMs }: Pick<IntakeDeps, 'now' | 'redeliveryMs'>,
  kind: K,
  requester: Requester,
  requestId: number,
  id: string,
  replaces: OfferedRecord | undefined,
): RecordBase<K, 'Offered'> & { readonly supersedes?: string } {
  const { station, origin, answerKey } = requester;
  const patienceMs = OFFER_MS + (origin === 'everest' ? redeliveryMs : 0);
  return {
    ...newRecordBase<K, 'Offered'>(kind, 'Offered', { station, origin, requestId, now: now(), id }),
    ...askedBy(requester),
    answerKey,
    deadlineAt: now().monotonic + patienceMs,
    ...(replaces ? { supersedes: replaces.id } : {}),
  };
}

/** The operation that rests for this offer and whose place it takes once it is confirmed; `undefined`: there is none. */
export async function readReplaced(store: Store, offer: OfferedRecord): Promise<OfferedRecord | undefined> {
  const record = offer.supersedes === undefined ? undefined : await store.load(offer.supersedes);
  return record && isOfferable(record) && !isEnded(record) ? record : undefined;
}
