/** Operations that somebody does not want any more. */
import { isStoppable } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { isEnded } from '@khumbu/operations/kinds/kinds';
import { applyLogEvent, type LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { readStationState } from '@khumbu/operations/stations/station-state';
import type { Admission } from './admission.js';
import type { IntakeDeps } from './requester.js';

export type Cancelable = FirmwareUpdateRecord | LogUploadRecord;

export type Cancellation =
  | { readonly kind: 'unknown' }
  /** It is over, now or before. */
  | { readonly kind: 'ended'; readonly record: Cancelable }
  /** The station is being changed, or the operation is just being answered. */
  | { readonly kind: 'too_late' | 'busy'; readonly record: Cancelable };

export function createCancellations({ desk, deadlines }: IntakeDeps, { contextOf }: Admission) {
  const { store } = desk;

  /**
   * End an operation of a station. Whoever works on it is told and stops. Safe to repeat. Rejects with `NOT_STORED`
   * when it is not known whether it was ended.
   */
  const cancel = async (station: string, kind: Cancelable['kind'], operationId: string): Promise<Cancellation> =>
    desk.decide<Cancellation>(
      async () => {
        const record = (await store.load(operationId)) as Cancelable | undefined;
        if (record?.station !== station || record.kind !== kind)
          return { transaction: undefined, result: { kind: 'unknown' } };
        if (isEnded(record)) return { transaction: undefined, result: { kind: 'ended', record } };
        if (record.state === 'Offered') return { transaction: undefined, result: { kind: 'busy', record } };
        if (record.kind === 'firmware_update' && !isStoppable(record.state))
          return { transaction: undefined, result: { kind: 'too_late', record } };
        const context = contextOf(station, readStationState(await store.station(station)));
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
      // Whoever does not hear that it was ended asks again.
      async () => undefined,
    );

  return { cancel };
}
