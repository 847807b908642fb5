/** The end of an operation that is not wanted any more. */
import { definitionOf, type StationKind } from '@khumbu/operations/kinds/kinds';
import { isOffer } from '@khumbu/operations/kinds/offer';
import { isEnded } from '@khumbu/operations/records/record';
import type { Attempt } from './decision.js';
import type { Parts } from './intake-deps.js';

export interface Cancellation {
  /** `ended`: it is over, now or before. `too_late`: the station is being changed. `busy`: it is just being answered. */
  readonly kind: 'unknown' | 'ended' | 'too_late' | 'busy';
}

export function createCancel({ read, readDecideCommit, store }: Parts) {
  /**
   * End an operation of a station. The worker that has it in hand is notified and stops. Safe to repeat. Rejects with
   * `NOT_STORED` when it is not known whether it was ended.
   */
  return (station: string, kind: StationKind, operationId: string): Promise<Cancellation> =>
    readDecideCommit({
      read: async () => ({ ...(await read.station(station)), record: await read.load(operationId, kind) }),
      decide({ state, record }): Attempt<Cancellation> {
        if (record?.station !== station) return { result: { kind: 'unknown' } };
        if (isEnded(record)) return { result: { kind: 'ended' } };
        if (isOffer(record)) return { result: { kind: 'busy' } };
        const definition = definitionOf(record);
        const isCancelable = 'canceled' in (definition.transitions[record.state] ?? {});
        const context = read.contextOf(station, state);
        const end = isCancelable ? definition.apply?.(record, 'canceled', context) : undefined;
        if (!end) return { result: { kind: 'too_late' } };
        const transaction = store.transaction().put(end.record);
        transaction.enqueueStatus(station, end.statuses).notifyCancel(record.id);
        return { transaction, result: { kind: 'ended' } };
      },
    });
}
