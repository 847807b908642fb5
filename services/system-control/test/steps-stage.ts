/** The steps of system-control over a real Redis, with a driver that the test answers for. */
import { randomUUID } from 'node:crypto';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { expectedJob } from '@khumbu/operations/jobs/expected-job';
import { createJobLoop, type JobLoopOptions } from '@khumbu/operations/jobs/job-loop';
import type { OperationRecord } from '@khumbu/operations/kinds/kinds';
import { createStore } from '@khumbu/operations/kinds/store';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { parseStationsFile, profileFrom } from '@khumbu/shared/stations/stations-file';
import type { StationDriver } from '@khumbu/station-drivers/port';
import type { StepDeps } from '@khumbu/steps/station/step-deps';
import type { Redis } from 'ioredis';

export const STATION = 'cs-1';

export interface StageOptions {
  readonly redis: Redis;
  readonly driver: Partial<StationDriver>;
  /** Not in the stations file. */
  readonly isGone?: boolean;
  readonly steps: (deps: StepDeps) => JobLoopOptions['steps'];
}

export function openStage({ redis, driver, isGone = false, steps }: StageOptions) {
  const file = parseStationsFile(JSON.stringify({ stations: { [STATION]: { driver: 'simulated' } } }));
  const store = createStore(redis, `t${randomUUID()}`);
  const lines: { readonly level: number; readonly msg: string }[] = [];
  const log = createLogger('test', 'info', { write: (line: string) => void lines.push(JSON.parse(line)) });
  const now = () => momentOf(Date.now());
  const directory = {
    profileOf: (station: string) => (isGone ? undefined : profileFrom(file, station)),
    configured: () => [],
    isConfigured: () => !isGone,
    close: () => undefined,
  };
  const deps: StepDeps = { store, directory, driverOf: () => driver as StationDriver, now };
  const jobs = { ensure: async () => undefined };
  const loop = createJobLoop({ steps: steps(deps), store, jobs, log, now });
  const load = async <R extends OperationRecord>({ id }: R): Promise<R> => (await store.load(id)) as R;
  const put = async <R extends OperationRecord>(record: R): Promise<R> => {
    if (!(await store.commit(store.transaction().put(record)))) throw new Error('not stored');
    return load(record);
  };
  /** Do the job that the record wants now, once its pause is over; resolves with what it is then. */
  const work = async <R extends OperationRecord>(record: R): Promise<R> => {
    const job = expectedJob(await put({ ...(await load(record)), notBefore: 0 }));
    if (!job) throw new Error('it wants nothing');
    const taken = { jobId: job.jobId, name: job.name, operationId: record.id, isOurs: async () => true };
    await loop(taken, new AbortController().signal);
    return load(record);
  };
  return { store, lines, put, work };
}
