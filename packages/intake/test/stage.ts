import { randomUUID } from 'node:crypto';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { QueueName } from '@khumbu/operations/jobs/expected-job';
import { createJobs } from '@khumbu/operations/jobs/jobs';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import type { OperationRecord, StationKind } from '@khumbu/operations/kinds/kinds';
import { createStore, type Store, type Transaction } from '@khumbu/operations/kinds/store';
import { readStationState } from '@khumbu/operations/stations/station-state';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { patientRedis, promptRedis } from '@khumbu/shared/runtime/redis';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { awaitUntil } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { createBoots } from '../src/boots.js';
import type { Answer } from '../src/decision.js';
import { createIntake, type Intake } from '../src/intake.js';
import type { Requester } from '../src/requester.js';
import { locations, profile, STATION, UPDATE } from './fixtures.js';

const moment = () => momentOf(Date.now());
export const server = await startRedis({ dir: t.testdir() });
t.teardown(() => server.stop());
const log = createLogger('test', 'silent');
export const NETWORK = { request_id: 9, interface: 'Wired0' } as const;
export const SILENT = { silentMs: undefined, heartbeatPeriodMs: undefined };

/** An answer of Redis that came while this process stood still is late by its clock, though it is there: no standstill is so long. */
const REDIS_MS = 20_000;
/** For tests in which Redis is frozen: still more than a standstill. */
export const FROZEN = { timeoutMs: 5000 };

interface StageOptions {
  readonly profile?: StationProfile | undefined;
  readonly timeoutMs?: number;
  readonly abandoned?: readonly QueueName[];
  /** Share the keys of another one: a second gateway. */
  readonly prefix?: string;
  readonly resetReservationMs?: number;
  readonly archiveFormat?: 'gzip' | 'zstd';
}

/** An intake of its own, on keys of its own. */
export async function openStage(test: Test, options: StageOptions = {}) {
  const prefix = options.prefix ?? `t${randomUUID().replaceAll('-', '')}`;
  const prompt = promptRedis(server.url, options.timeoutMs ?? REDIS_MS, () => undefined);
  const patient = patientRedis(server.url, () => undefined);
  await patient.ping();
  await awaitUntil(() => prompt.status === 'ready', 5000, 'the prompt connection');
  const commits: Transaction[] = [];
  let beforeCommit: ((transaction: Transaction) => unknown) | undefined;
  const promptStore = createStore(prompt, prefix);
  let loaded: ((id: string) => Promise<void>) | undefined;
  let reads = 0;
  const watched: Store = {
    ...promptStore,
    stationAndAnswer(station, answerKey) {
      reads += 1;
      return promptStore.stationAndAnswer(station, answerKey);
    },
    async load(id, kind) {
      const record = await promptStore.load(id, kind);
      await loaded?.(id);
      return record;
    },
    async commit(transaction) {
      commits.push(transaction);
      await beforeCommit?.(transaction);
      return promptStore.commit(transaction);
    },
  };
  const store = createStore(patient, prefix);
  const jobs = createJobs(patient, store.keys, moment);
  test.teardown(async () => {
    server.thaw();
    intake.close();
    await jobs.close();
    prompt.disconnect();
    patient.disconnect();
  });
  const station = 'profile' in options ? options.profile : profile({ interfaces: { Wired0: 'eth0' } });
  const intake = createIntake({
    store: watched,
    redis: prompt,
    jobs,
    profileOf: () => station,
    isInConflict: () => false,
    locations,
    judgeCertificate: async () => undefined,
    isAbandoned: (queue) => options.abandoned?.includes(queue) ?? false,
    resetReservationMs: options.resetReservationMs ?? 60_000,
    ...(options.archiveFormat === undefined ? {} : { archiveFormat: options.archiveFormat }),
    now: moment,
    redeliveryMs: REDELIVERY_MS,
    log,
  });
  const directory = { profileOf: () => station, configured: () => [STATION], close: () => undefined };
  return {
    prefix,
    intake,
    store,
    patient,
    commits,
    reads: () => reads,
    boots: createBoots({ store, jobs, directory, now: moment, log }),
    /** Redis stops in the moment in which the next commit is sent. */
    freezeAtCommit(): void {
      beforeCommit = () => {
        beforeCommit = undefined;
        server.freeze();
      };
    },
    /** What was read for the next commit is old when it is sent. */
    beforeNextCommit(then: () => Promise<unknown>): void {
      beforeCommit = () => {
        beforeCommit = undefined;
        return then();
      };
    },
    afterLoad(then: (id: string) => Promise<void>): void {
      loaded = then;
    },
    state: async () => readStationState(await store.station(STATION)),
    slot: async (kind: StationKind) => readStationState(await store.station(STATION)).slot(kind),
    answerOf: async (key: string) => (await store.stationAndAnswer(STATION, key)).answer,
    openRecords: async (): Promise<OperationRecord[]> => store.loadMany(await store.openIds()),
    /** Ids of the jobs that exist, in any state. */
    async jobIds(): Promise<string[]> {
      const keys = await patient.keys(`${store.keys.jobs}:*`);
      return keys.map((key) => key.split(':').at(-1) ?? '').filter((id) => /\.\d+$/.test(id));
    },
    async advance(id: string | undefined, events: readonly Parameters<typeof applyUpdateEvent>[1][]): Promise<void> {
      let record = (await store.load(id ?? '')) as FirmwareUpdateRecord;
      for (const event of events) {
        const { bootEpoch } = readStationState(await store.station(STATION));
        const context = {
          now: moment(),
          dialect: 'unknown',
          bootEpoch,
        } as const;
        const next = applyUpdateEvent(record, event, context);
        if (!(await store.commit(store.transaction().put(next.record)))) throw new Error('lost a race in a test');
        record = (await store.load(record.id)) as FirmwareUpdateRecord;
      }
    },
  };
}
export type Stage = Awaited<ReturnType<typeof openStage>>;

/** How long the broker keeps a request. */
export const REDELIVERY_MS = 120_000;

export const requester = (answerKey: string = randomUUID(), origin: Requester['origin'] = 'everest'): Requester => ({
  station: STATION,
  answerKey,
  origin,
});
export const must = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error('must be there');
  return value;
};
/** Something follows from the answer. */
export const confirmOffer = (intake: Intake, answer: Answer): Promise<void> => {
  must(answer.followUp);
  return intake.confirm(answer);
};
export const accepted = async (
  intake: Intake,
  request: typeof UPDATE | (typeof UPDATE & object) = UPDATE,
  key?: string,
) => {
  const answer = await intake.updateFirmware(request, requester(key));
  await intake.confirm(answer);
  return must(answer.operationId);
};
