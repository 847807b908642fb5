/** The updates that wait for a run of a fetch, and the signal that aborts the run when none is left. */
import type { ProgressPort } from '@khumbu/operations/events/progress';
import type { FirmwareFetchRecord } from '@khumbu/operations/kinds/firmware-fetch/record';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { Notifications } from '@khumbu/operations/records/notifications';
import type { FetchRun } from '@khumbu/operations/wan/fetch-bytes';
import type { WanMeter } from '@khumbu/operations/wan/wan-meter';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { DownloadGate, FetchAmount } from './download-gate.js';
import { waitsFor } from './fetch-results.js';
import type { StepDeps } from './step-deps.js';

/** How often a running fetch looks for its waiters. */
const LOOK_MS = 1000;

export interface WaitersDeps extends Pick<StepDeps, 'store'> {
  readonly notifications: Notifications;
  readonly progress: ProgressPort;
  readonly gate: Pick<DownloadGate, 'mustStop' | 'end'>;
  /** Counts what comes over the WAN in a run of a fetch. */
  readonly meter: Pick<WanMeter, 'begin' | 'receivedOf' | 'broughtBefore'>;
}

/** By which its bytes are counted. */
export const runOf = ({ id, createdAt, generation }: FirmwareFetchRecord): FetchRun => ({
  fetchId: id,
  createdAt,
  generation,
});

export function createWaiters({ store, notifications, progress, gate, meter }: WaitersDeps) {
  const waitersOf = async (fetch: FirmwareFetchRecord): Promise<FirmwareUpdateRecord[]> => {
    const records = await store.loadMany(fetch.waiters, 'firmware_update');
    return records.filter((update) => waitsFor(update, fetch));
  };

  /** A run of a fetch, as long as it is wanted. */
  const whileWanted = (fetch: FirmwareFetchRecord, signal: AbortSignal, log: Pick<Logger, 'debug'>) => {
    const unwanted = new AbortController();
    const paused = new AbortController();
    let waiting: readonly FirmwareUpdateRecord[] = [];
    let toCome: number | undefined;
    /** What had come when that was told: what comes until it is told again must not count twice. */
    let receivedThen = 0;
    const ofFetch = runOf(fetch);
    const forgetBytes = meter.begin(ofFetch);
    /** By workers that were killed: it counts against the budget as well. */
    let broughtBefore = 0;
    const received = (): number => broughtBefore + meter.receivedOf(fetch.id);
    const amount = (): FetchAmount => ({ received: received(), toCome });
    const told = (): FetchAmount => (toCome === undefined ? amount() : { received: receivedThen, toCome });

    const lookAtWaiters = async (): Promise<void> => {
      waiting = await waitersOf(fetch);
      if (waiting.length === 0) unwanted.abort(new CodedError('ABORTED', 'nobody waits for it any more'));
      else if (await gate.mustStop(waiting, fetch.id, told())) paused.abort(new CodedError('ABORTED', 'paused'));
    };
    let looking: Promise<void> | undefined;
    /** One at a time. The next look reads again what this one could not. */
    const look = (): Promise<void> => {
      looking ??= lookAtWaiters()
        .catch((error: unknown) => log.debug({ reason: describeError(error) }, 'the waiters were not looked at'))
        .finally(() => {
          looking = undefined;
        });
      return looking;
    };
    const timer = setInterval(() => void look(), LOOK_MS);
    const subscriptions = [
      notifications.on('cancel', (id) => {
        if (fetch.waiters.includes(id)) void look();
      }),
      notifications.on('wan', () => void look()),
    ];
    const tell = progress(
      fetch.id,
      () => waiting.map(({ id, station, kind }) => ({ operationId: id, station, kind })),
      fetch.generation,
    );
    return {
      /** Also fires when no update waits any more, or none of them may have it now. */
      signal: AbortSignal.any([signal, unwanted.signal, paused.signal]),
      onProgress: (bytes: number, totalBytes?: number): void => {
        const isNews = toCome === undefined && totalBytes !== undefined;
        if (totalBytes !== undefined) {
          toCome = Math.max(0, totalBytes - bytes);
          receivedThen = received();
        }
        tell(bytes, totalBytes);
        // Whether the month has as many is to be known before they come.
        if (isNews) void look();
      },
      /** The first look, before a byte comes. Rejects where the store does. */
      async begin(): Promise<void> {
        broughtBefore = await meter.broughtBefore(ofFetch);
        await lookAtWaiters();
      },
      amount,
      isUnwanted: (): boolean => unwanted.signal.aborted,
      isPaused: (): boolean => paused.signal.aborted,
      async end(): Promise<void> {
        clearInterval(timer);
        for (const unsubscribe of subscriptions) unsubscribe();
        await looking;
        forgetBytes();
        await gate.end(fetch.id);
      },
    };
  };

  return { waitersOf, whileWanted };
}
