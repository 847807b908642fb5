import type { Store, Transaction } from '@khumbu/operations/kinds/store';
import { CodedError } from '@khumbu/shared/runtime/errors';

/** Commit outside of the epoch fence, for what has to be set right whatever came before. Rejects with `CONFLICT`: repeat. */
export async function commitOrThrow(store: Store, transaction: Transaction): Promise<void> {
  if (!(await store.commit(transaction))) throw new CodedError('CONFLICT', 'the record has moved on');
}
