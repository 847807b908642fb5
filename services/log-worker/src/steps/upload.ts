/** Collect a station's logs and bring them where they were asked to. One final status, after the last try. */
import type { Readable } from 'node:stream';
import type { ObjectStore } from '@khumbu/object-store/object-store';
import type { ProgressPort } from '@khumbu/operations/events/progress';
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import { retryPause } from '@khumbu/operations/jobs/retry-pause';
import type { WorkerParts } from '@khumbu/operations/jobs/worker-service';
import { DEFAULT_DEADLINES } from '@khumbu/operations/kinds/deadlines';
import { triesAllowed } from '@khumbu/operations/kinds/firmware-update/record';
import type { StoredArchive } from '@khumbu/operations/kinds/log-upload/archive-object';
import {
  applyLogEvent,
  EVENT_OF_FAILURE,
  type LogTransitionContext,
  type LogUploadRecord,
  logStatusEntry,
} from '@khumbu/operations/kinds/log-upload/record';
import { logWindow } from '@khumbu/operations/kinds/log-upload/window';
import { toldFault } from '@khumbu/operations/records/told-fault';
import { dialectOf, readStation } from '@khumbu/operations/stations/station-state';
import type { ProxyRules } from '@khumbu/shared/http/forward-proxy';
import type { LocationPolicy } from '@khumbu/shared/locations/policy';
import { uploadTarget } from '@khumbu/shared/locations/upload-location';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { StationDriver } from '@khumbu/station-drivers/station-driver';
import { createArchive } from '../archive/archive.js';
import { toUploadError, UploadError } from '../upload/failure-status.js';
import { removeSpooled } from '../upload/spool-file.js';
import { uploadArchive } from '../upload/upload-archive.js';

export interface UploadDeps extends Pick<WorkerParts, 'store' | 'directory' | 'now'> {
  readonly driverOf: (profile: StationProfile) => StationDriver;
  readonly objects: ObjectStore | undefined;
  readonly locations: LocationPolicy;
  readonly progress: ProgressPort;
  readonly settings: {
    readonly spoolDir: string;
    readonly tries: number;
    readonly retryIntervalS: number;
    /** As `RetryWish.mostS`. */
    readonly mostRetryAfterS: number;
    readonly stallMs: number;
    readonly gzipLevel: number;
    /** PEM of the authorities of https locations, as it is now; default: the built-in ones. */
    readonly ca?: (() => string) | undefined;
    readonly userAgent: string;
    readonly proxy: ProxyRules;
  };
}

const notTidied =
  ({ log }: StepContext) =>
  (error: unknown): void =>
    log.warn({ reason: describeError(error) }, 'the spool was not tidied; check SPOOL_DIR');

export function createUpload(deps: UploadDeps) {
  const { store, directory, driverOf, objects, locations, settings, now } = deps;

  const view = async (record: LogUploadRecord) => {
    const profile = directory.profileOf(record.station);
    const state = await readStation(store, record.station);
    const context: LogTransitionContext = {
      now: now(),
      dialect: dialectOf(profile, state),
      deadlines: DEFAULT_DEADLINES.log,
    };
    return { profile, context };
  };

  const openArchive = async (
    record: LogUploadRecord,
    profile: StationProfile,
    signal: AbortSignal,
  ): Promise<Readable> => {
    // Older versions took requests that this one refuses.
    const window = logWindow(record.request);
    if (!window) throw new UploadError('BadMessage', 'the window of times is empty', { reason: 'window_empty' });
    const sources = await driverOf(profile).openLogs({ type: record.logType, ...window }, signal);
    const manifest = { station: record.station, type: record.logType, window, created: new Date(record.createdAt) };
    return createArchive({ sources, manifest, gzipLevel: settings.gzipLevel, signal });
  };

  const send = async (
    record: LogUploadRecord,
    profile: StationProfile,
    step: StepContext,
  ): Promise<{ bytes: number; archive?: StoredArchive }> => {
    const { signal } = step;
    let archive: StoredArchive | undefined;
    const { station, origin, request } = record;
    // Again, because settings may have changed since the request, and names may lead elsewhere now.
    const allowed = await locations.checkNow(request.location, { for: 'logs', station, origin });
    if (!allowed.ok) {
      const isUnreadable = allowed.code === 'LOCATION_MALFORMED' || allowed.code === 'LOCATION_SCHEME_UNKNOWN';
      if (isUnreadable) throw new UploadError('BadMessage', allowed.reason, { reason: 'location_unusable' });
      throw new UploadError('PermissionDenied', allowed.reason, { reason: 'location_refused' });
    }
    const target = uploadTarget(allowed.location, record.fileName);
    if (target.kind === 'refused') throw new UploadError('BadMessage', target.reason, { reason: 'location_unusable' });
    const { bytes } = await uploadArchive({
      target,
      operationId: record.id,
      objectStore: objects,
      spoolDir: settings.spoolDir,
      ...('port' in allowed.location ? { lookup: locations.lookupFor(allowed.location.port) } : {}),
      signal,
      stallMs: settings.stallMs,
      userAgent: settings.userAgent,
      proxy: settings.proxy,
      openArchive: () => openArchive(record, profile, signal),
      onSpoolTrouble: notTidied(step),
      onProgress: deps.progress(
        record.id,
        () => [{ operationId: record.id, station: record.station, kind: record.kind }],
        record.tries,
      ),
      onStored: (stored) => {
        archive = stored;
      },
      ...(settings.ca === undefined ? {} : { ca: settings.ca() }),
    });
    return { bytes, ...(archive === undefined ? {} : { archive }) };
  };

  const begin = async (record: LogUploadRecord, { commit }: StepContext): Promise<void> => {
    const { context } = await view(record);
    const begun = applyLogEvent(record, 'uploadBegun', context);
    await commit(store.transaction().put(begun.record).enqueueStatus(record.station, begun.statuses));
  };

  const fail = async (record: LogUploadRecord, error: unknown, { commit, log }: StepContext): Promise<void> => {
    const failure = toUploadError(error);
    const tries = record.tries + 1;
    const { profile, context } = await view(record);
    const again = failure.retryable && tries < triesAllowed(record.request, settings.tries);
    log.info({ tries, status: failure.status, reason: failure.reason, text: failure.text, again }, 'upload failed');
    const fault = { reason: failure.reason, message: failure.text };
    const detail = { ...toldFault(fault, record.origin), set: { tries } };
    if (!again) {
      const end = applyLogEvent(record, EVENT_OF_FAILURE[failure.status], context, detail);
      await commit(store.transaction().put(end.record).enqueueStatus(record.station, end.statuses));
      return;
    }
    const wish = {
      intervalS: record.request.retry_interval_s ?? settings.retryIntervalS,
      retryAfterS: failure.retryAfterS,
      mostS: settings.mostRetryAfterS,
      triesLeft: triesAllowed(record.request, settings.tries) - tries,
      deadlineAt: record.deadlineAt,
    };
    const set = { tries, ...retryPause(wish, now()), run: record.run + 1 };
    const next = applyLogEvent(record, 'tryFailed', context, { ...detail, set }).record;
    const transaction = store.transaction().put(next);
    // The certification tool wants to hear of every attempt; everybody else only of the last one.
    if (profile?.logFailureStatus === 'per-attempt' && record.announced) {
      const entries = [failure.status, 'Uploading' as const].map((status) =>
        logStatusEntry(record, status, context.dialect, context.now),
      );
      transaction.enqueueStatus(record.station, entries);
    }
    await commit(transaction);
  };

  return async (record: LogUploadRecord, step: StepContext): Promise<void> => {
    if (record.state === 'Accepted') return begin(record, step);
    const { profile } = await view(record);
    let sent: { bytes: number; archive?: StoredArchive };
    try {
      if (!profile) throw new CodedError('STATION_NOT_CONFIGURED', 'the station is not in the stations file any more');
      step.log.info('upload started');
      sent = await send(record, profile, step);
    } catch (error) {
      if (step.signal.aborted || !(await step.isOurs())) throw error;
      return fail(record, error, step);
    }
    const { context } = await view(record);
    const { bytes: sizeBytes, archive } = sent;
    const set = { sizeBytes, ...(archive === undefined ? {} : { archive }) };
    const end = applyLogEvent(record, 'uploaded', context, { set });
    await step.commit(store.transaction().put(end.record).enqueueStatus(record.station, end.statuses));
    await removeSpooled(settings.spoolDir, record.id).catch(notTidied(step));
  };
}
