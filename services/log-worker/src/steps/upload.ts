/** The states of a log upload: tries until the archive is sent or none are left, and one final status. */
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import { nextTry, type RetrySettings } from '@khumbu/operations/jobs/retry-pause';
import type { WorkerParts } from '@khumbu/operations/jobs/worker-service';
import {
  applyLogEvent,
  EVENT_OF_FAILURE,
  type LogUploadRecord,
  logStatusEntry,
} from '@khumbu/operations/kinds/log-upload/record';
import { toldFault } from '@khumbu/operations/records/told-fault';
import { dialectOf, readStation } from '@khumbu/operations/stations/station-state';
import { describeError } from '@khumbu/shared/runtime/errors';
import { requireProfile, type StationProfile } from '@khumbu/shared/stations/stations-file';
import { toUploadError } from '../upload/failure-status.js';
import { removeSpooled } from '../upload/spool-file.js';
import { createSendArchive, logSpoolError, type SendArchiveDeps, type SentLogs } from './send-archive.js';

export interface UploadDeps extends Pick<WorkerParts, 'store' | 'directory' | 'now'>, SendArchiveDeps {
  readonly retries: RetrySettings;
}

export function createUpload(deps: UploadDeps) {
  const { store, directory, now } = deps;
  const send = createSendArchive(deps);

  const view = async (record: LogUploadRecord) => {
    const profile = directory.profileOf(record.station);
    const state = await readStation(store, record.station);
    return { profile, context: { now: now(), dialect: dialectOf(profile, state) } };
  };

  /** One event, committed with its statuses. */
  const apply = async (
    record: LogUploadRecord,
    { commit }: StepContext,
    event: Parameters<typeof applyLogEvent>[1],
    detail?: Parameters<typeof applyLogEvent>[3],
  ): Promise<void> => {
    const { context } = await view(record);
    const after = applyLogEvent(record, event, context, detail);
    await commit(store.transaction().put(after.record).enqueueStatus(record.station, after.statuses));
  };

  /** Without a key nothing is redacted, so nothing is told but that, and the upload still comes to its end. */
  const shown = async (configured: StationProfile, said: string): Promise<string> => {
    try {
      return (await deps.redactorOf(configured)).text(said);
    } catch (error) {
      return describeError(error);
    }
  };

  const isLastTry = (record: LogUploadRecord): boolean =>
    nextTry({ ...record, tries: record.tries + 1 }, deps.retries, undefined, now()) === undefined;

  const fail = async (
    record: LogUploadRecord,
    error: unknown,
    configured: StationProfile | undefined,
    step: StepContext,
  ): Promise<void> => {
    const { status, reason, text: said, retryable, retryAfterS } = toUploadError(error);
    // A program at the station may have said it, and quoted what it was given.
    const text = configured ? await shown(configured, said) : said;
    const tries = record.tries + 1;
    const next = retryable ? nextTry({ ...record, tries }, deps.retries, retryAfterS, now()) : undefined;
    step.log.info({ tries, status, reason, text, again: next !== undefined }, 'upload failed');
    const fault = toldFault({ reason, message: text }, record.origin);
    if (!next) return apply(record, step, EVENT_OF_FAILURE[status], { ...fault, set: { tries } });
    const { profile, context } = await view(record);
    const again = applyLogEvent(record, 'tryFailed', context, { ...fault, set: { tries, ...next } }).record;
    const transaction = store.transaction().put(again);
    // The OCPP compliance tool expects a status for each attempt; other CSMS expect one, after the last.
    if (profile?.logFailureStatus === 'per-attempt' && record.announced) {
      const entries = [status, 'Uploading' as const].map((each) =>
        logStatusEntry(record, each, context.dialect, context.now),
      );
      transaction.enqueueStatus(record.station, entries);
    }
    await step.commit(transaction);
  };

  return async (record: LogUploadRecord, step: StepContext): Promise<void> => {
    if (record.state === 'Accepted') return apply(record, step, 'uploadBegun');
    const configured = directory.profileOf(record.station);
    let sent: SentLogs;
    try {
      const profile = requireProfile(configured);
      step.log.info('upload started');
      sent = await send(record, profile, step, isLastTry(record));
    } catch (error) {
      if (step.signal.aborted || !(await step.isOurs())) throw error;
      return fail(record, error, configured, step);
    }
    const { bytes: sizeBytes, ...known } = sent;
    await apply(record, step, 'uploaded', { set: { sizeBytes, ...known } });
    await removeSpooled(deps.spoolDir, record.id).catch(logSpoolError(step));
  };
}
