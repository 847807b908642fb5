/**
 * The end of a fetch, committed to each update that waits for it: the image, another try, or the failure. Safe to repeat:
 * an update that was committed to does not wait any more.
 */
import { noteGiven } from '@khumbu/operations/artifacts/artifact-records';
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import { nextTry, type RetrySettings } from '@khumbu/operations/jobs/retry-pause';
import {
  type FetchResult,
  type FirmwareFetchRecord,
  fetchDelivered,
} from '@khumbu/operations/kinds/firmware-fetch/record';
import { askAgain } from '@khumbu/operations/kinds/firmware-update/hold-download';
import { type FirmwareUpdateRecord, installAt } from '@khumbu/operations/kinds/firmware-update/record';
import { storedOf, type Transaction } from '@khumbu/operations/kinds/store';
import { toldFault } from '@khumbu/operations/records/told-fault';
import { requireProfile } from '@khumbu/shared/stations/stations-file';
import { connectorsDetail } from './connectors.js';
import { NOT_CONFIGURED, resultFor, waitsFor } from './fetch-results.js';
import { connectorsFlagOfLocation } from './image-metadata.js';
import { applyAll, type StationView, type StepDeps, viewStation } from './step-deps.js';

export function createNotifyWaiters(deps: StepDeps, retries: RetrySettings) {
  const { store, jobs, now } = deps;

  /** Repeats on a lost race; an update that does not wait any more is left as it is. */
  const notify = async (fetch: FirmwareFetchRecord, result: FetchResult, operationId: string): Promise<void> => {
    for (;;) {
      const update = await store.load(operationId, 'firmware_update');
      // An update that is held by an offer joins the fetch again when it goes on.
      if (!update || !waitsFor(update, fetch) || update.heldFor !== undefined) return;
      const view = await viewStation(deps, update.station);
      const { fetch: _fetch, ...without } = update;
      const transaction = store.transaction();
      const outcome = view.profile ? resultFor(result, update) : NOT_CONFIGURED;
      const charged = { ...without, wanBytes: (update.wanBytes ?? 0) + (result.wanBytes ?? 0) };
      const next = outcome.ok
        ? arrived(transaction, charged, outcome, view)
        : outcome.paused
          ? paused(transaction, charged, outcome, view)
          : failed(transaction, charged, outcome, view);
      const stored = await store.commit(transaction);
      if (stored) return jobs.ensure(storedOf(stored, next));
    }
  };

  const arrived = (
    transaction: Transaction,
    update: FirmwareUpdateRecord,
    { image }: Extract<FetchResult, { ok: true }>,
    view: StationView,
  ): FirmwareUpdateRecord => {
    const flag = update.signed ? undefined : connectorsFlagOfLocation(update.request.location);
    const { asCame: _asCame, ...unsigned } = image;
    const set = {
      image: update.signed ? image : unsigned,
      ...(update.signed ? {} : connectorsDetail(update, requireProfile(view.profile), flag)),
    };
    noteGiven(transaction, image, update.station, now().wall);
    const later = !update.signed && (installAt(update) ?? 0) > view.context.now.wall;
    const events = [
      { event: 'fetched' as const, detail: { set } },
      ...(later ? [{ event: 'installLater' as const }] : []),
    ];
    return applyAll(transaction, update, events, view.context);
  };

  /** No try of its own: it asks again at once, and then it is told what keeps it. */
  const paused = (
    transaction: Transaction,
    update: FirmwareUpdateRecord,
    { bytesToCome }: Extract<FetchResult, { ok: false }>,
    { context }: StationView,
  ): FirmwareUpdateRecord => {
    const known = bytesToCome === undefined ? {} : { bytesToCome };
    const next = { ...askAgain(update, context.now), ...known, tries: Math.max(0, update.tries - 1) };
    transaction.put(next);
    return next;
  };

  const failed = (
    transaction: Transaction,
    update: FirmwareUpdateRecord,
    result: Extract<FetchResult, { ok: false }>,
    view: StationView,
  ): FirmwareUpdateRecord => {
    const { permanent, retryAfterS } = result;
    const { reason, message } = toldFault(result, update.origin);
    const next = permanent ? undefined : nextTry(update, retries, retryAfterS, now());
    if (!next) return applyAll(transaction, update, [{ event: 'gaveUp', detail: { reason, message } }], view.context);
    return applyAll(transaction, update, [{ event: 'tryFailed', detail: { reason, set: next } }], view.context);
  };

  return async (fetch: FirmwareFetchRecord, { commit }: StepContext): Promise<void> => {
    const { result } = fetch;
    if (result) {
      const notified = await Promise.allSettled(fetch.waiters.map((id) => notify(fetch, result, id)));
      const problem = notified.find((one) => one.status === 'rejected');
      if (problem) throw problem.reason;
    }
    await commit(store.transaction().put(fetchDelivered(fetch, now())));
  };
}
