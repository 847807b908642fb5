/** The end of an operation that is not wanted any more. */
import { isStoppable } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { isEnded } from '@khumbu/operations/kinds/kinds';
import { applyLogEvent, type LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import type { Attempt } from './decision.js';
import type { Parts } from './intake-deps.js';

export type Cancelable = FirmwareUpdateRecord | LogUploadRecord;

export type Cancellation =
  | { readonly kind: 'unknown' }
  /** It is over, now or before. */
  | { readonly kind: 'ended'; readonly record: Cancelable }
  /** The station is being changed, or the operation is just being answered. */
  | { readonly kind: 'too_late' | 'busy'; readonly record: Cancelable };

export function createCancel({ read, readDecideCommit, store, deadlines }: Parts) {
  /**
   * End an operation of a station. The worker that has it in hand is notified and stops. Safe to repeat. Rejects with
   * `NOT_STORED` when it is not known whether it was ended.
   */
  return (station: string, kind: Cancelable['kind'], operationId: string): Promise<Cancellation> =>
    readDecideCommit({
      read: async () => ({ ...(await read.station(station)), record: await read.load(operationId, kind) }),
      decide({ state, record }): Attempt<Cancellation> {
        if (record?.station !== station) return { result: { kind: 'unknown' } };
        if (isEnded(record)) return { result: { kind: 'ended', record } };
        if (record.state === 'Offered') return { result: { kind: 'busy', record } };
        if (record.kind === 'firmware_update' && !isStoppable(record.state))
          return { result: { kind: 'too_late', record } };
        const context = read.contextOf(station, state);
        const end =
          record.kind === 'firmware_update'
            ? applyUpdateEvent(record, 'canceled', { ...context, deadlines: deadlines.update })
            : applyLogEvent(record, 'canceled', { ...context, deadlines: deadlines.log });
        const transaction = store
          .transaction()
          .put(end.record)
          .enqueueStatus(station, end.statuses)
          .notifyCancel(record.id);
        return { transaction, result: { kind: 'ended', record: end.record } };
      },
    });
}
