/** One try: collect the logs of a station and send them to their location. */

import type { Readable } from 'node:stream';
import type { Redactor } from '@khumbu/log-redaction/redactor';
import type { ProgressPort } from '@khumbu/operations/events/progress';
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import type { ArchiveContents, LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { logWindow } from '@khumbu/operations/kinds/log-upload/window';
import { COLLECTOR } from '@khumbu/operations/log-copies/log-copy';
import { VERSION } from '@khumbu/shared/http/user-agent';
import type { LocationPolicy } from '@khumbu/shared/locations/policy';
import { type ArchiveFormat, type UploadTarget, uploadTarget } from '@khumbu/shared/locations/upload-location';
import { unlessAborted } from '@khumbu/shared/runtime/abort';
import { CodedError, describeError } from '@khumbu/shared/runtime/errors';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { StationDriver } from '@khumbu/station-drivers/port';
import { checkedLocation } from '@khumbu/transfer/checked-location';
import type { RateLimiter, TransferContext } from '@khumbu/transfer/port';
import type { SshTrust } from '@khumbu/transfer/ssh-settings';
import { createArchive } from '../archive/archive.js';
import type { SecurityLogReader } from '../archive/security-log.js';
import { softwareOf } from '../archive/software.js';
import { stationClock } from '../archive/station-clock.js';
import { type CopyDeps, copyToKeep, ownCopy } from '../copies/own-copies.js';
import { UploadError } from '../upload/failure-status.js';
import type { SharedJournal } from '../upload/shared-journal.js';
import { type Delivery, type SentArchive, uploadArchive } from '../upload/upload-archive.js';

export interface SendArchiveDeps {
  readonly driverOf: (profile: StationProfile) => StationDriver;
  readonly locations: LocationPolicy;
  readonly progress: ProgressPort;
  readonly spoolDir: string;
  readonly levels: Readonly<Record<ArchiveFormat, number>>;
  /** A new one for each archive. What comes of a source, and of each of its files, is not the whole of it. */
  readonly redactorOf: (profile: StationProfile) => Promise<Redactor>;
  readonly delivery: Delivery;
  readonly shared: SharedJournal;
  /** What the depot did at a station, and the newest entry of the log that says so. */
  readonly securityLog: SecurityLogReader;
  /** The depot's own copies; absent where it has no object store. */
  readonly copies?: CopyDeps | undefined;
  readonly transfers: Omit<TransferContext, 'policy' | 'ca' | 'limiter'>;
  /** Counts what goes to a server, and makes it wait for its turn; the depot's own store is not behind the WAN. */
  readonly limiter?: () => RateLimiter;
  /** PEM of the authorities of https locations, as it is now; default: the built-in ones. */
  readonly ca?: (() => string) | undefined;
  /** Trust and key of sftp locations, as they are now; default: no server is trusted. */
  readonly ssh?: SshTrust['current'] | undefined;
}

export const logSpoolError =
  ({ log }: Pick<StepContext, 'log'>) =>
  (error: unknown): void =>
    log.warn({ reason: describeError(error) }, 'the spool was not tidied; check SPOOL_DIR');

const logCopyError =
  ({ log }: Pick<StepContext, 'log'>) =>
  (error: unknown): void =>
    log.warn({ reason: describeError(error) }, 'the depot has no copy of this archive');

const noClock =
  ({ log }: Pick<StepContext, 'log'>) =>
  (error: unknown): void =>
    log.info({ reason: describeError(error) }, 'the clock of the station cannot be read; the next collection overlaps');

export interface SentLogs extends SentArchive {
  /** Of the nightly collection, where this try has opened the logs. */
  readonly contents?: ArchiveContents;
}

interface OpenInput {
  readonly record: LogUploadRecord;
  readonly profile: StationProfile;
  readonly step: StepContext;
  readonly isLastTry: boolean;
  readonly onRecord: (records: number) => void;
  readonly onContents: (contents: ArchiveContents) => void;
}

export function createSendArchive(deps: SendArchiveDeps) {
  const { driverOf, locations, spoolDir, transfers } = deps;

  const openArchive = async (input: OpenInput): Promise<Readable> => {
    const { record, profile, step, onRecord } = input;
    const { signal } = step;
    const isCollected = record.askedBy === COLLECTOR;
    // A night that was only sent in part would not be in the window of the next.
    const isLastTry = input.isLastTry && !isCollected;
    // Older versions accepted requests with an empty window.
    const window = logWindow(record.request);
    if (!window) throw new UploadError('BadMessage', 'the window of times is empty', { reason: 'window_empty' });
    const { station, logType: type, archiveFormat: format = 'gzip' } = record;
    const driver = driverOf(profile);
    const redactor = await deps.redactorOf(profile);
    const isSecurity = type === 'SecurityLog';
    const clock = isCollected ? await stationClock(driver, signal, noClock(step)) : undefined;
    // A driver may be slow to hear of an abort.
    const reached = Promise.all([driver.openLogs({ type, ...window }, signal), softwareOf(driver, signal)]);
    const opened = reached.catch((error: unknown) => {
      // What was done to a station that is lost is wanted most of all.
      if (!isSecurity || !isLastTry || signal.aborted) throw error;
      const code = error instanceof CodedError ? error.code.toLowerCase() : 'failed';
      const leftOut = [{ source: 'station', code, text: describeError(error) }];
      return [[], { software: { khumbu: VERSION }, leftOut }] as const;
    });
    const [sources, { software, leftOut }] = await unlessAborted(opened, signal);
    const security_log = await deps.securityLog.head();
    const manifest = { station, type, window, created: new Date(record.createdAt), software, security_log };
    const compression = { format, level: deps.levels[format] };
    const entries = () => deps.securityLog.entries(station, window);
    const extra = isSecurity ? [{ name: 'depot/security.log', open: entries }] : [];
    const parts = { sources, manifest, redactor, extra, leftOut };
    const onSourcesRead = (failedSources: readonly string[]): void => {
      if (isCollected) input.onContents({ ...(clock === undefined ? {} : { stationClock: clock }), failedSources });
    };
    return createArchive({ ...parts, compression, isLastTry, signal, onRecord, onSourcesRead });
  };

  /** Judged again: settings and DNS may have changed since the request. */
  const targetOf = async ({ station, origin, request, fileName }: LogUploadRecord, signal: AbortSignal) => {
    const leg = { direction: 'put', scheme: 'https' } as const;
    const checked = checkedLocation(locations, request.location, leg, { for: 'logs', station, origin });
    // It may ask name servers, which know no abort.
    const location = await unlessAborted(checked, signal);
    const target: UploadTarget | { kind: 'refused'; reason: string } = uploadTarget(location, fileName);
    if (target.kind === 'refused') throw new UploadError('BadMessage', target.reason, { reason: 'location_unusable' });
    return target;
  };

  /** `isLastTry`: no other one follows if this one fails. */
  return async (
    record: LogUploadRecord,
    profile: StationProfile,
    step: StepContext,
    isLastTry: boolean,
  ): Promise<SentLogs> => {
    const { id: operationId, station, kind } = record;
    const { signal } = step;
    const target = await targetOf(record, signal);
    const limiter = target.kind === 's3' ? undefined : deps.limiter?.();
    const tell = deps.progress(operationId, () => [{ operationId, station, kind }], record.tries);
    const far: { bytes: number; totalBytes?: number; records?: number } = { bytes: 0 };
    const onFar = (more: Partial<typeof far>): void => {
      Object.assign(far, more);
      tell(far.bytes, far.totalBytes, far.records);
    };
    const copy = deps.copies && copyToKeep(record, target, deps.copies);
    let contents: ArchiveContents | undefined;
    const opening: OpenInput = {
      record,
      profile,
      step,
      isLastTry,
      onRecord: (records) => onFar({ records }),
      onContents: (told) => {
        contents = told;
      },
    };
    const sent = await uploadArchive({
      target,
      ...(deps.copies && copy ? { copy: ownCopy(copy, deps.copies) } : {}),
      onCopyError: logCopyError(step),
      operationId,
      format: record.archiveFormat,
      spoolDir,
      delivery: deps.delivery,
      shared: deps.shared,
      context: { ...transfers, policy: locations, ca: deps.ca?.(), ...deps.ssh?.(), limiter },
      signal,
      openArchive: () => openArchive(opening),
      onSpoolError: logSpoolError(step),
      onProgress: (bytes, totalBytes) => onFar(totalBytes === undefined ? { bytes } : { bytes, totalBytes }),
    });
    return { ...sent, ...(contents === undefined ? {} : { contents }) };
  };
}
