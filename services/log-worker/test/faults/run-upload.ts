/** One operation through the steps of the log-worker, try by try, as its queue would have it. */
import { randomBytes } from 'node:crypto';
import { createRedactor } from '@khumbu/log-redaction/redactor';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { LogUploadRecord } from '@khumbu/operations/kinds/log-upload/record';
import { commitOrThrow, createStore } from '@khumbu/operations/kinds/store';
import { keysFor } from '@khumbu/operations/records/keys';
import { newRecordBase } from '@khumbu/operations/records/record';
import { createLogger } from '@khumbu/shared/runtime/logger';
import type { RedactRule } from '@khumbu/shared/stations/redact-rules';
import { parseStationsFile, profileFrom, type StationProfile } from '@khumbu/shared/stations/stations-file';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import type { StationDriver } from '@khumbu/station-drivers/port';
import type { Redis } from 'ioredis';
import { securityLogOf } from '../../src/archive/security-log.js';
import { createUpload } from '../../src/steps/upload.js';
import { createSharedJournal } from '../../src/upload/shared-journal.js';
import { PART_BYTES } from '../made-archive.js';
import type { Site } from './fault.js';
import { type Openings, WINDOW } from './station.js';
import { policy } from './web-faults.js';

const PREFIX = 'faults';
const now = () => momentOf(Date.now());
const log = createLogger('log-worker', 'silent');
const stations = parseStationsFile('stations: { any: { dialect: ocpp2.x, driver: simulated } }');
const profile = profileFrom(stations, 'any') as StationProfile;

export interface UploadStage {
  readonly redis: Redis;
  /** For spools and the states of simulated chargers. */
  readonly dir: string;
  readonly logs: Openings;
  /** What is taken out; nothing by default. */
  readonly rules?: readonly RedactRule[];
  /** The key of pseudonyms; a random one by default. */
  readonly key?: () => Promise<string>;
}
let count = 0;

/** An upload of the window, with so many tries in all. */
export async function beginUpload(
  { redis, dir, logs, rules = [], key = async () => randomBytes(32).toString('hex') }: UploadStage,
  site: Site,
  retries: number,
) {
  const store = createStore(redis, PREFIX, undefined, now);
  const station = `cp-${++count}`;
  const request = { request_id: count, location: site.location, retries, retry_interval_s: 0, ...WINDOW };
  const record: LogUploadRecord = {
    ...newRecordBase('log_upload', 'Accepted', { station, origin: 'everest', requestId: count, now: now() }),
    request,
    logType: 'DiagnosticsLog',
    fileName: `${station}.tar.gz`,
    announced: true,
    tries: 0,
  };
  await commitOrThrow(store, store.transaction().put(record));
  const load = async (): Promise<LogUploadRecord> => (await store.load(record.id)) as LogUploadRecord;

  const stepAt = (at: Site) => {
    const { policy: locations = policy, ca, stallMs = 20_000, objects, knownHosts } = at.context ?? {};
    const driverOf = (of: StationProfile): StationDriver =>
      Object.assign(createDriver(of, { dataDir: `${dir}/chargers`, redactionKey: undefined }), {
        openLogs: at.logs ?? logs,
      });
    const files = knownHosts === undefined ? {} : { knownHosts };
    return createUpload({
      store,
      directory: { profileOf: (name: string) => ({ ...profile, station: name }) } as Parameters<
        typeof createUpload
      >[0]['directory'],
      now,
      driverOf,
      locations,
      progress: () => () => {},
      spoolDir: at.spoolDir ?? `${dir}/spool`,
      levels: { gzip: 1, zstd: 1 },
      redactorOf: async () => createRedactor({ rules, key: await key() }),
      delivery: { partBytes: PART_BYTES },
      securityLog: securityLogOf(redis, keysFor(PREFIX)),
      shared: createSharedJournal(redis, keysFor(PREFIX)),
      transfers: { stallMs, objects },
      ca: ca === undefined ? undefined : () => String(ca),
      ssh: () => files,
      retries: { tries: 1, retryIntervalS: 0, maxRetryAfterS: 0 },
    });
  };

  return {
    /** One try; resolves with the record after it. */
    async oneTry(at: Site = site): Promise<LogUploadRecord> {
      const step = stepAt(at);
      const { signal } = new AbortController();
      const commit = async (transaction: Parameters<typeof store.commit>[0]): Promise<void> => {
        await commitOrThrow(store, transaction);
      };
      for (const before = (await load()).run; ; ) {
        const current = await load();
        if (current.endedAt !== undefined || current.run !== before) return current;
        await step(current, { signal, log, commit, isOurs: async () => true });
      }
    },
    /** What EVerest was told of it, in order. */
    async told(): Promise<unknown[]> {
      const entries = await store.outboxEntries(station);
      return entries.map(({ payload }) => (payload as { log_status: string }).log_status);
    },
  };
}
