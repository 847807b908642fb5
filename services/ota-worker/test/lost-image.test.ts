/** What becomes of updates whose image is not in the depot any more: the product's steps, a real Redis, a charger. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { expectedJob } from '@khumbu/operations/jobs/expected-job';
import { createJobLoop } from '@khumbu/operations/jobs/job-loop';
import type { FirmwareUpdateEvent } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { createStore } from '@khumbu/operations/kinds/store';
import { newRecordBase } from '@khumbu/operations/records/record';
import { createImageChecks } from '@khumbu/ota-worker/images/image-checks';
import { sharedSpool } from '@khumbu/ota-worker/images/image-store';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { profileFrom } from '@khumbu/shared/stations/stations-file';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import type { FirmwareImage, StationDriver } from '@khumbu/station-drivers/station-driver';
import { createInstall } from '@khumbu/steps/firmware-update/install';
import { createVerify } from '@khumbu/steps/firmware-update/verify';
import { makeImage } from '@khumbu/test-support/firmware';
import { startRedis } from '@khumbu/test-support/redis';
import { Redis } from 'ioredis';
import t, { type Test } from 'tap';

const now = () => momentOf(Date.now());
const signal = AbortSignal.timeout(60_000);
const server = await startRedis({ dir: t.testdir({}) });
const redis = new Redis(server.url);
t.teardown(async () => {
  redis.disconnect();
  await server.stop();
});
let count = 0;

interface Stage {
  readonly driver: StationDriver;
  readonly id: string;
  readonly image: FirmwareImage;
  /** The image comes back, and is lost again. */
  restore(): void;
  lose(): void;
  /** A worker takes the job that the update wants. */
  work(): Promise<FirmwareUpdateRecord>;
  /** What EVerest was told from the lost image on. */
  told(): Promise<readonly unknown[]>;
}

/** An update that these events have happened to, and whose image is lost. */
async function lost(t: Test, events: readonly FirmwareUpdateEvent[], signed = false): Promise<Stage> {
  const dir = t.testdir({ spool: { images: {} }, chargers: {} });
  const { bytes, sha256 } = makeImage(10_000);
  const image = { sha256, sizeBytes: bytes.length };
  const path = join(dir, 'spool', 'images', sha256);
  const store = createStore(redis, `lost${++count}`);
  const profile = profileFrom({ stations: { cp1: { driver: 'simulated', simulated: { install_ms: 0 } } } }, 'cp1');
  if (!profile) throw new Error('no profile');
  const driver = createDriver(profile, { dataDir: join(dir, 'chargers') });
  const directory = { profileOf: () => profile, configured: () => ['cp1'], close: () => undefined };
  const jobs = { ensure: async () => undefined, reconcile: async () => undefined, close: async () => undefined };
  const checks = createImageChecks();
  const images = sharedSpool(join(dir, 'spool'));
  const deps = { store, jobs, directory, images, checks, driverOf: () => driver, now };
  const log = createLogger('test', 'silent');
  const steps = { download: createVerify(deps, false), install: createInstall(deps) };
  const work = createJobLoop({ steps, store, jobs, log, now });

  const context = { now: now(), dialect: 'ocpp2.x', bootEpoch: 0 } as const;
  let record: FirmwareUpdateRecord = {
    ...newRecordBase('firmware_update', 'Offered', { station: 'cp1', origin: 'everest', requestId: 7, now: now() }),
    request: { location: 'http://h/f', request_id: 7 },
    signed,
    announced: true,
    permissionNeeded: true,
    permission: { bootEpoch: 0, at: Date.now(), by: 'everest' },
    tries: 1,
    image,
  };
  for (const event of events) record = applyUpdateEvent(record, event, context).record;
  await store.commit(store.transaction().put(record).setStation('cp1', { firstSeenAt: '1' }));

  return {
    driver,
    id: record.id,
    image: { path, ...image },
    restore: () => writeFileSync(path, bytes),
    lose: () => rmSync(path),
    async work() {
      const job = expectedJob((await store.load(record.id)) ?? record);
      if (!job) throw new Error('it wants no job');
      await work({ jobId: job.jobId, name: job.name, operationId: record.id, isOurs: async () => true }, signal);
      return (await store.load(record.id)) as FirmwareUpdateRecord;
    },
    told: async () =>
      (await store.outboxEntries('cp1')).map(
        ({ payload }) => (payload as { firmware_update_status: string }).firmware_update_status,
      ),
  };
}

const FAILED = { state: 'InstallationFailed', outcome: { ok: false, reason: 'image_missing' } };
const DOWNLOADED: readonly FirmwareUpdateEvent[] = ['confirmed', 'fetchJoined', 'fetched'];

void t.test('a signed one that is not verified yet ends', async (t) => {
  const stage = await lost(t, DOWNLOADED, true);
  t.match(await stage.work(), FAILED);
  t.same(await stage.told(), ['InstallationFailed']);
});

for (const events of [DOWNLOADED, [...DOWNLOADED, 'installLater'] as const])
  void t.test(`one that may be installed (${events.at(-1)}) ends before the station is touched`, async (t) => {
    const stage = await lost(t, events);
    const record = await stage.work();
    t.match(record, FAILED);
    t.equal(record.slotHeld, undefined);
    t.same(await stage.told(), ['InstallationFailed'], 'it never said that it installs');
  });

void t.test(
  'one that was about to be installed ends if the station knows nothing of it, and nobody begins it later',
  async (t) => {
    const stage = await lost(t, [...DOWNLOADED, 'installBegun']);
    t.match(await stage.work(), FAILED);
    stage.restore();
    const late = stage.driver.start({ step: 'install', operationId: stage.id, image: stage.image }, signal);
    await t.rejects(late, { code: 'EFFECT_RETIRED' });
  },
);

void t.test('one that the station installs already goes on without its image', async (t) => {
  const stage = await lost(t, [...DOWNLOADED, 'installBegun']);
  stage.restore();
  await stage.driver.start({ step: 'install', operationId: stage.id, image: stage.image }, signal);
  stage.lose();
  t.match(await stage.work(), { state: 'InstallRebooting' });
  await stage.driver.start({ step: 'reboot', operationId: stage.id }, signal);
});
