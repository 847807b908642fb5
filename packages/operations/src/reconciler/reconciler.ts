/**
 * Compares what should be with what is, for every open record: deadlines, offers that were never confirmed, waits that
 * nothing will end, jobs that are not there. Run by one process at a time; running twice does no harm, because every change is
 * a commit like any other.
 */
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { WorkerParts } from '../jobs/worker-service.js';
import type { Applied, KindContext } from '../kinds/kind-definition.js';
import { definitionOf, isOverdue, type OperationRecord } from '../kinds/kinds.js';
import { failOffer, isOffer, isOfferable, type OfferedRecord, withdrawOffer } from '../kinds/offer.js';
import type { Transaction } from '../kinds/store.js';
import { isEnded, without } from '../records/record.js';
import { dialectOf, readStation, type StationState } from '../stations/station-state.js';

/** A record younger than this is being worked on by the one who made it. */
const SETTLED_MS = 1500;
const BATCH = 200;

type Deps = Pick<WorkerParts, 'store' | 'jobs' | 'directory' | 'now'> & { readonly log: Logger };

export type Reconciler = ReturnType<typeof createReconciler>;

export function createReconciler({ store, jobs, directory, log, now }: Deps) {
  /** Commit, then see to the job of the new state. After a lost race the next round looks again. */
  const put = async (transaction: Transaction, record: OperationRecord): Promise<void> => {
    if (await store.commit(transaction.put(record))) await jobs.ensure(record);
  };

  const contextOf = async ({ station }: OperationRecord): Promise<KindContext & { readonly state: StationState }> => {
    const state = await readStation(store, station);
    const dialect = dialectOf(directory.profileOf(station), state);
    return { now: now(), dialect, bootEpoch: state.bootEpoch, state };
  };

  /**
   * An offer that was never confirmed ends, and what it would have replaced goes on. If its answer was sent, the station
   * may count on it and receives a failure.
   */
  const endOffer = async (record: OfferedRecord): Promise<void> => {
    const context = await contextOf(record);
    const replaces = record.supersedes === undefined ? undefined : await store.load(record.supersedes);
    const inPlace = record.heldFor === undefined ? undefined : await store.load(record.heldFor);
    const older = replaces && isOfferable(replaces) && !isEnded(replaces) ? replaces : undefined;
    const newer = inPlace && isOffer(inPlace) ? inPlace : undefined;
    const about = { operationId: record.id, station: record.station };
    if (record.answerSent && !newer) {
      log.warn(about, 'offer failed: nobody knows whether it was heard');
      await store.commit(failOffer(store.transaction(), record, older, context));
      return;
    }
    const slot = context.state.slot(record.kind);
    const { transaction, resumed } = withdrawOffer(store.transaction(), record, older, slot, context, newer);
    log.warn(about, 'offer withdrawn: its answer was never confirmed');
    if ((await store.commit(transaction)) && resumed) await jobs.ensure(resumed);
  };

  const putApplied = (transaction: Transaction, { record, statuses }: Applied<OperationRecord>): Promise<void> =>
    put(transaction.enqueueStatus(record.station, statuses), record);

  const endOverdue = async (record: OperationRecord): Promise<void> => {
    const end = definitionOf(record).onDeadline?.(record, await contextOf(record));
    if (!end) return;
    log.warn({ operationId: record.id, station: record.station, state: record.state }, 'out of time');
    await putApplied(store.transaction().notifyCancel(record.id), end);
  };

  /** The offer a record is held for is gone: it goes on. */
  const releaseHeld = async (record: OperationRecord, heldFor: string): Promise<boolean> => {
    const other = await store.load(heldFor);
    if (other && !isEnded(other)) return false;
    await put(store.transaction(), without(record, 'heldFor'));
    return true;
  };

  /** What it waits for has happened without it: another record has gone on, or EVerest was seen in a new boot. */
  const catchUp = async (record: OperationRecord): Promise<boolean> => {
    if (isEnded(record)) return false;
    const definition = definitionOf(record);
    const mended = await definition.onReconcile?.(record, (id) => store.load(id), now());
    if (mended) {
      await put(store.transaction(), mended);
      return true;
    }
    if (!definition.awaitsBoot?.(record)) return false;
    const next = definition.onBoot?.(record, await contextOf(record));
    if (next) await putApplied(store.transaction(), next);
    return next !== undefined;
  };

  const reconcileRecord = async (record: OperationRecord): Promise<void> => {
    const at = now();
    if (isOverdue(record, at)) return isOffer(record) ? endOffer(record) : endOverdue(record);
    if (Math.abs(at.wall - record.updatedAt) < SETTLED_MS) return;
    if (record.heldFor !== undefined && (await releaseHeld(record, record.heldFor))) return;
    if (await catchUp(record)) return;
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
