/** The updates that wait for a run of a fetch, and the signal that aborts the run when none is left. */
import type { ProgressPort } from '@khumbu/operations/events/progress';
import type { FirmwareFetchRecord } from '@khumbu/operations/kinds/firmware-fetch/record';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { Notifications } from '@khumbu/operations/records/notifications';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { waitsFor } from './fetch-results.js';
import type { StepDeps } from './step-deps.js';

/** How often a running fetch looks for its waiters. */
const LOOK_MS = 1000;

export interface WaitersDeps extends Pick<StepDeps, 'store'> {
  readonly notifications: Notifications;
  readonly progress: ProgressPort;
}

export function createWaiters({ store, notifications, progress }: WaitersDeps) {
  const waitersOf = async (fetch: FirmwareFetchRecord): Promise<FirmwareUpdateRecord[]> => {
    const records = await store.loadMany(fetch.waiters, 'firmware_update');
    return records.filter((update) => waitsFor(update, fetch));
  };

  /** A run of a fetch, as long as it is wanted. */
  const whileWanted = (fetch: FirmwareFetchRecord, signal: AbortSignal) => {
    const unwanted = new AbortController();
    let waiting: readonly FirmwareUpdateRecord[] = [];
    const look = (): void => {
      waitersOf(fetch).then(
        (waiters) => {
          waiting = waiters;
          if (waiters.length === 0) unwanted.abort(new CodedError('ABORTED', 'nobody waits for it any more'));
        },
        // The next look reads again.
        () => undefined,
      );
    };
    const timer = setInterval(look, LOOK_MS);
    const unsubscribe = notifications.on('cancel', (id) => fetch.waiters.includes(id) && look());
    look();
    return {
      /** Also fires when no update waits any more. */
      signal: AbortSignal.any([signal, unwanted.signal]),
      onProgress: progress(
        fetch.id,
        () => waiting.map(({ id, station, kind }) => ({ operationId: id, station, kind })),
        fetch.generation,
      ),
      isUnwanted: (): boolean => unwanted.signal.aborted,
      end(): void {
        clearInterval(timer);
        unsubscribe();
      },
    };
  };

  return { waitersOf, whileWanted };
}
