import type { OfferedRecord } from '@khumbu/operations/kinds/offer';
import { newRecordBase, OFFER_MS, type RecordBase } from '@khumbu/operations/records/record';
import type { IntakeDeps } from './intake-deps.js';
import { askedBy, type Requester } from './requester.js';

/** What every new offer has in common. It ends by itself when its answer is not confirmed in time. */
export function offeredBase<K extends OfferedRecord['kind']>(
  { now, redeliveryMs }: Pick<IntakeDeps, 'now' | 'redeliveryMs'>,
  kind: K,
  requester: Requester,
  requestId: number,
  id: string,
): RecordBase<K, 'Offered'> {
  const { station, origin, answerKey } = requester;
  const patienceMs = OFFER_MS + (origin === 'everest' ? redeliveryMs : 0);
  return {
    ...newRecordBase<K, 'Offered'>(kind, 'Offered', { station, origin, requestId, now: now(), id }),
    ...askedBy(requester),
    answerKey,
    deadlineAt: now().monotonic + patienceMs,
  };
}
