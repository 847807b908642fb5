import { isEnded, type OperationRecord } from '@khumbu/operations/kinds/kinds';
import { CHANNEL_OF_OFFER, type OfferedRecord } from '@khumbu/operations/kinds/offer';
import type { Store } from '@khumbu/operations/kinds/store';

const isOfferable = (record: OperationRecord): record is OfferedRecord => Object.hasOwn(CHANNEL_OF_OFFER, record.kind);

/** The operation that rests for this offer and whose place it takes once it is confirmed; `undefined`: there is none. */
export async function readReplaced(store: Store, offer: OfferedRecord): Promise<OfferedRecord | undefined> {
  const record = offer.supersedes === undefined ? undefined : await store.load(offer.supersedes);
  return record && isOfferable(record) && !isEnded(record) ? record : undefined;
}
