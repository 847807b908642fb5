/** One update at the station `cp1`, and what the steps of a worker work with: no queue, and a loop that takes jobs by hand. */
import { type Moment, momentOf } from '@khumbu/operations/clock/depot-clock';
import { expectedJob } from '@khumbu/operations/jobs/expected-job';
import type { JobLoopOptions } from '@khumbu/operations/jobs/job-loop';
import { createJobLoop } from '@khumbu/operations/jobs/job-loop';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { Store } from '@khumbu/operations/kinds/store';
import { newRecordBase } from '@khumbu/operations/records/record';
import { createImageChecks } from '@khumbu/ota-worker/images/image-checks';
import { sharedSpool } from '@khumbu/ota-worker/images/image-store';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { profileFrom, type StationProfile } from '@khumbu/shared/stations/stations-file';
import type { StationDriver } from '@khumbu/station-drivers/port';
import type { DownloadGate } from '@khumbu/steps/firmware-update/download-gate';
import type { FetchDeps } from '@khumbu/steps/firmware-update/fetch';
import type { StepDeps } from '@khumbu/steps/firmware-update/step-deps';

export const STATION = 'cp1';
const signal = AbortSignal.timeout(600_000);

export function profileOf(settings: object): StationProfile {
  const profile = profileFrom({ stations: { [STATION]: { driver: 'simulated', ...settings } } }, STATION);
  if (!profile) throw new Error('no profile');
  return profile;
}

interface DepsOptions {
  readonly store: Store;
  readonly profile: StationProfile;
  readonly spoolDir: string;
  readonly driver?: StationDriver;
  readonly now?: () => Moment;
}

export const depsOf = ({ store, profile, spoolDir, driver, now }: DepsOptions): StepDeps => ({
  store,
  jobs: { ensure: async () => undefined, reconcile: async () => undefined, close: async () => undefined },
  directory: { profileOf: () => profile, configured: () => [STATION], close: () => undefined },
  images: sharedSpool(spoolDir),
  checks: createImageChecks(),
  driverOf: () => {
    if (!driver) throw new Error('no station is touched');
    return driver;
  },
  now: now ?? (() => momentOf(Date.now())),
});

/** As it is offered, before anything has happened to it. */
export const offeredUpdate = (now: Moment, more: Partial<FirmwareUpdateRecord> = {}): FirmwareUpdateRecord => ({
  ...newRecordBase('firmware_update', 'Offered', { station: STATION, origin: 'everest', requestId: 7, now }),
  request: { location: 'http://h/f', request_id: 7 },
  signed: true,
  announced: true,
  permissionNeeded: true,
  tries: 1,
  ...more,
});

/** A worker takes the job that the update wants now; resolves with the update as it is then. */
export function workOn({ store, jobs, now }: StepDeps, steps: JobLoopOptions['steps'], id: string) {
  const loop = createJobLoop({ steps, store, jobs, log: createLogger('test', 'silent'), now });
  const load = async (): Promise<FirmwareUpdateRecord> => (await store.load(id)) as FirmwareUpdateRecord;
  return async (): Promise<FirmwareUpdateRecord> => {
    const job = expectedJob(await load());
    if (!job) throw new Error('it wants no job');
    await loop({ jobId: job.jobId, name: job.name, operationId: id, isOurs: async () => true }, signal);
    return load();
  };
}

/** Nothing keeps a download. */
export const OPEN_GATE: DownloadGate = {
  holdOf: async () => undefined,
  mustStop: async () => false,
  end: async () => undefined,
  noteFailure: async () => undefined,
};
/** Nothing is counted. */
export const NO_METER = {
  begin: () => () => undefined,
  receivedOf: () => 0,
  broughtBefore: async () => 0,
  forgetBrought: async () => undefined,
};

/** What a fetch of one try has beside what a test gives it. */
export const ONE_FETCH = {
  notifications: { on: () => () => undefined, close: () => undefined },
  progress: () => () => undefined,
  ignored: () => [],
  gate: OPEN_GATE,
  meter: NO_METER,
  reuseUnaskedMs: 0,
  minBytes: 1,
  retries: { tries: 1, retryIntervalS: 1, maxRetryAfterS: 1 },
} as const satisfies Partial<FetchDeps>;

/** The statuses that wait for the station. */
export const statusesIn = async (store: Store): Promise<unknown[]> =>
  (await store.outboxEntries(STATION)).map(
    ({ payload }) => (payload as { firmware_update_status: string }).firmware_update_status,
  );
