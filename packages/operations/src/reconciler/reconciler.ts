/**
 * Compares what should be with what is, for every open record: deadlines, offers nobody confirmed, waits that nobody
 * will end, jobs that are not there. Run by one process at a time; running twice does no harm, because every change is
 * a commit like any other.
 */

import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { StationDirectory } from '@khumbu/shared/stations/stations-file';
import type { Now } from '../clock/depot-clock.js';
import type { Jobs } from '../jobs/jobs.js';
import { type Deadlines, expire, isOverdue } from '../kinds/deadlines.js';
import type { FirmwareFetchRecord } from '../kinds/firmware-fetch/record.js';
import type { FirmwareUpdateRecord } from '../kinds/firmware-update/record.js';
import { isEnded, type OperationRecord } from '../kinds/kinds.js';
import { failOffer, isOffer, type OfferedRecord, withdrawOffer } from '../kinds/offer.js';
import type { Store } from '../kinds/store.js';
import { afterBoot } from '../stations/after-boot.js';
import { dialectOf, readStation } from '../stations/station-state.js';

/** A record younger than this is being worked on by the one who made it. */
const SETTLED_MS = 1500;
const BATCH = 200;

export interface ReconcilerDeps {
  readonly store: Store;
  readonly jobs: Jobs;
  readonly directory: StationDirectory;
  readonly deadlines: Deadlines;
  readonly log: Logger;
  readonly now: Now;
}

export type Reconciler = ReturnType<typeof createReconciler>;

/** The fetch that this update waits for has ended without it. */
export const waitsForNothing = (update: FirmwareUpdateRecord, fetch: FirmwareFetchRecord | undefined): boolean => {
  if (update.state !== 'Downloading' || !update.fetch) return false;
  if (!fetch || fetch.generation > update.fetch.generation) return true;
  const listed = [...fetch.waiters, ...fetch.nextWaiters].includes(update.id);
  return fetch.state === 'Resting' || !listed;
};

export function createReconciler({ store, jobs, directory, deadlines, log, now }: ReconcilerDeps) {
  /** Commit, then see to the job of the new state. A lost race is fine: the next round looks again. */
  const put = async (transaction: ReturnType<Store['transaction']>, record: OperationRecord): Promise<void> => {
    if (await store.commit(transaction.put(record))) await jobs.ensure({ ...record, version: record.version + 1 });
  };

  /**
   * An offer that was never confirmed ends, and what it would have replaced goes on. If its answer was sent, the station
   * may count on it and hears of a failure.
   */
  const endOffer = async (record: OfferedRecord): Promise<void> => {
    const state = await readStation(store, record.station);
    const replaces = record.supersedes === undefined ? undefined : await store.load(record.supersedes);
    const inPlace = record.heldFor === undefined ? undefined : await store.load(record.heldFor);
    const dialect = dialectOf(directory.profileOf(record.station), state);
    const older = replaces && !isEnded(replaces) ? (replaces as OfferedRecord) : undefined;
    const newer = inPlace && isOffer(inPlace) ? inPlace : undefined;
    const context = { now: now(), dialect, bootEpoch: state.bootEpoch, deadlines };
    if (record.answerSent && !newer) {
      log.warn({ operationId: record.id, station: record.station }, 'offer failed: nobody knows whether it was heard');
      await store.commit(failOffer(store.transaction(), record, older, context));
      return;
    }
    const { transaction, resumed } = withdrawOffer(
      store.transaction(),
      record,
      older,
      state.slot(record.kind),
      context,
      newer,
    );
    log.warn({ operationId: record.id, station: record.station }, 'offer withdrawn: its answer was never confirmed');
    if ((await store.commit(transaction)) && resumed) await jobs.ensure(resumed);
  };

  const endOverdue = async (record: OperationRecord): Promise<void> => {
    const state = await readStation(store, record.station);
    const end = expire(record, state, directory, deadlines, now());
    if (!end) return;
    log.warn({ operationId: record.id, station: record.station, state: record.state }, 'out of time');
    const transaction = store.transaction().notifyCancel(record.id).enqueueStatus(record.station, end.statuses);
    await put(transaction, end.record);
  };

  /** The offer a record is held for is gone: it goes on. */
  const releaseHeld = async (record: OperationRecord, heldFor: string): Promise<boolean> => {
    const other = await store.load(heldFor);
    if (other && !isEnded(other)) return false;
    const { heldFor: _heldFor, ...rest } = record;
    await put(store.transaction(), rest as OperationRecord);
    return true;
  };

  /** The fetch an update waits for is over: it joins again. */
  const rejoin = async (record: FirmwareUpdateRecord): Promise<boolean> => {
    if (record.state !== 'Downloading' || !record.fetch) return false;
    const fetch = (await store.load(record.fetch.id)) as FirmwareFetchRecord | undefined;
    if (!waitsForNothing(record, fetch)) return false;
    const { fetch: _fetch, ...rest } = record;
    await put(store.transaction(), { ...rest, run: record.run + 1, updatedAt: now().wall });
    return true;
  };

  /** EVerest has been heard in a new boot, and whoever noticed it did not get as far as this. */
  const mendAfterBoot = async (record: OperationRecord): Promise<boolean> => {
    const waits = record.kind === 'reset' || (record.kind === 'firmware_update' && record.triggerEpoch !== undefined);
    if (!waits || isEnded(record)) return false;
    const state = await readStation(store, record.station);
    const dialect = dialectOf(directory.profileOf(record.station), state);
    const next = afterBoot(record, { now: now(), dialect, bootEpoch: state.bootEpoch, deadlines });
    if (!next) return false;
    await put(store.transaction().enqueueStatus(record.station, next.statuses), next.record);
    return true;
  };

  const reconcileRecord = async (record: OperationRecord): Promise<void> => {
    const at = now();
    if (isOverdue(record, at)) return isOffer(record) ? endOffer(record) : endOverdue(record);
    if (Math.abs(at.wall - record.updatedAt) < SETTLED_MS) return;
    if (record.heldFor !== undefined && (await releaseHeld(record, record.heldFor))) return;
    if (record.kind === 'firmware_update' && !isEnded(record) && (await rejoin(record))) return;
    if (await mendAfterBoot(record)) return;
    const mended = await jobs.reconcile(record);
    if (mended) log.info({ operationId: record.id, state: record.state, mended }, 'job mended');
  };

  return {
    /** One look at everything that is open. Aborts between records. */
    async round(signal: AbortSignal): Promise<void> {
      const ids = await store.openIds();
      for (let at = 0; at < ids.length; at += BATCH) {
        for (const record of await store.loadMany(ids.slice(at, at + BATCH))) {
          if (signal.aborted) return;
          try {
            await reconcileRecord(record);
          } catch (error) {
            if (hasCode(error, 'CONFLICT')) continue;
            log.warn({ operationId: record.id, reason: describeError(error) }, 'could not reconcile');
          }
        }
      }
    },
  };
}
