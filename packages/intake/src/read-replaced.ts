import { isOfferable, type OfferedRecord } from '@khumbu/operations/kinds/offer';
import type { Store } from '@khumbu/operations/kinds/store';
import { isEnded } from '@khumbu/operations/records/record';

/** The operation that rests for this offer and whose place it takes once it is confirmed; `undefined`: there is none. */
export async function readReplaced(store: Store, offer: OfferedRecord): Promise<OfferedRecord | undefined> {
  const record = offer.supersedes === undefined ? undefined : await store.load(offer.supersedes);
  return record && isOfferable(record) && !isEnded(record) ? record : undefined;
}
