/** The first step of an update, where what may be fetched is looked at once more: settings may have changed. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { expectedJob } from '@khumbu/operations/jobs/expected-job';
import { createJobLoop } from '@khumbu/operations/jobs/job-loop';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { createStore } from '@khumbu/operations/kinds/store';
import { newRecordBase, type Origin } from '@khumbu/operations/records/record';
import { createImageChecks } from '@khumbu/ota-worker/images/image-checks';
import { sharedSpool } from '@khumbu/ota-worker/images/image-store';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { profileFrom } from '@khumbu/shared/stations/stations-file';
import { createJoinFetch } from '@khumbu/steps/firmware-update/join-fetch';
import { openRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { OPEN_GATE } from './update-stage.js';

const signal = AbortSignal.timeout(600_000);
const now = () => momentOf(Date.now());
const { redis } = await openRedis(t, t.testdir({}));
const locations = createLocationPolicy({
  allowedSchemes: ['http', 's3'],
  allowedHosts: [],
  allowLoopback: false,
  forbiddenHosts: ['redis:6379'],
  store: { bucket: 'depot', logPrefixes: ['logs/{station}/'], firmwarePrefixes: ['images/'] },
});

void t.test('what was accepted and may not be fetched any more ends before anything is asked for', async (t) => {
  const store = createStore(redis, 'join');
  const profile = profileFrom({ stations: { cp1: { driver: 'simulated' } } }, 'cp1');
  if (!profile) throw new Error('no profile');
  const directory = { profileOf: () => profile, configured: () => ['cp1'], close: () => undefined };
  const jobs = { ensure: async () => undefined, reconcile: async () => undefined, close: async () => undefined };
  const checks = createImageChecks();
  const driverOf = (): never => t.fail('no station is touched') as never;
  const images = sharedSpool(t.testdir({}));
  const deps = { store, jobs, directory, images, checks, driverOf, now } as unknown as Parameters<
    typeof createJoinFetch
  >[0];
  const download = createJoinFetch(deps, () => [], locations, OPEN_GATE);
  const log = createLogger('test', 'silent');
  const work = createJobLoop({ steps: { download }, store, jobs: deps.jobs, log, now });

  const after = async (origin: Origin, location: string): Promise<FirmwareUpdateRecord> => {
    const base = newRecordBase('firmware_update', 'Accepted', { station: 'cp1', origin, requestId: 7, now: now() });
    const record = {
      ...base,
      request: { location, request_id: 7 },
      signed: false,
      announced: true,
      permissionNeeded: true,
      tries: 0,
    } as FirmwareUpdateRecord;
    if (!(await store.commit(store.transaction().put(record)))) throw new Error('not stored');
    const stored = (await store.load(record.id)) as FirmwareUpdateRecord;
    const job = expectedJob(stored);
    if (!job) throw new Error('it wants no job');
    await work({ jobId: job.jobId, name: job.name, operationId: record.id, isOurs: async () => true }, signal);
    return (await store.load(record.id)) as FirmwareUpdateRecord;
  };
  const refused = { state: 'DownloadFailed', outcome: { ok: false, reason: 'location_refused' } };
  for (const location of ['s3://depot/logs/cp2/x.tar.gz', 's3://depot/v2.bin', 'http://redis:6379/x', 'http://h/a b'])
    t.match(await after('everest', location), refused, location);
  t.match(await after('rest', 's3://depot/firmware/sha256/x'), refused);
  t.match(await after('everest', 's3://depot/logs/cp2/x'), { outcome: { message: /LOCATION_KEY_NOT_ALLOWED/ } });
  for (const [origin, location] of [
    ['everest', 's3://depot/images/v2.bin'],
    ['rest', 's3://depot/v2.bin'],
    ['everest', 'http://files.example/v2.bin'],
  ] as const)
    t.match(await after(origin, location), { state: 'Downloading', fetch: { generation: 1 } }, location);
});
