/** What becomes of updates whose image is not in the depot any more: the product's steps, a real Redis, a charger. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { FirmwareUpdateEvent } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { createStore } from '@khumbu/operations/kinds/store';
import { createImageChecks } from '@khumbu/ota-worker/images/image-checks';
import { sharedSpool } from '@khumbu/ota-worker/images/image-store';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import type { FirmwareImage, StationDriver } from '@khumbu/station-drivers/port';
import { createInstall } from '@khumbu/steps/firmware-update/install';
import { createVerify } from '@khumbu/steps/firmware-update/verify';
import { makeImage } from '@khumbu/test-support/firmware';
import { openRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { depsOf, offeredUpdate, profileOf, statusesIn, workOn } from './update-stage.js';

const now = () => momentOf(Date.now());
const signal = AbortSignal.timeout(600_000);
const { redis } = await openRedis(t, t.testdir({}));
let count = 0;

interface Stage {
  readonly driver: StationDriver;
  readonly id: string;
  readonly image: FirmwareImage;
  /** The image comes back, and is lost again. */
  restore(): void;
  lose(): void;
  /** ...as another one, which nothing shows. */
  restoreRotten(): Promise<void>;
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
  const profile = profileOf({ simulated: { install_ms: 0 } });
  const driver = createDriver(profile, { dataDir: join(dir, 'chargers'), redactionKey: undefined });
  const checks = createImageChecks();
  const images = sharedSpool(join(dir, 'spool'), { checks });
  const deps = { ...depsOf({ store, profile, spoolDir: join(dir, 'spool'), driver }), images, checks };
  const steps = { download: createVerify(deps, false), install: createInstall(deps) };

  const context = { now: now(), dialect: 'ocpp2.x', bootEpoch: 0 } as const;
  let record = offeredUpdate(now(), { signed, permission: { bootEpoch: 0, at: Date.now(), by: 'everest' }, image });
  for (const event of events) record = applyUpdateEvent(record, event, context).record;
  await store.commit(store.transaction().put(record).setStation('cp1', { firstSeenAt: '1' }));

  return {
    driver,
    id: record.id,
    image: { path, ...image },
    restore: () => writeFileSync(path, bytes),
    lose: () => rmSync(path),
    async restoreRotten() {
      const rotten = Buffer.from(bytes);
      rotten.writeUInt8(rotten.readUInt8(77) ^ 1, 77);
      writeFileSync(path, rotten);
      await checks.remember(path, { sha256 });
    },
    work: workOn(deps, steps, record.id),
    told: () => statusesIn(store),
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
  'one that was about to be installed ends if the station knows nothing of it, and no worker begins it later',
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

for (const events of [DOWNLOADED, [...DOWNLOADED, 'installBegun'] as const])
  void t.test(`one that its medium has changed is read before it is installed (${events.at(-1)})`, async (t) => {
    const stage = await lost(t, events);
    await stage.restoreRotten();
    t.match(await stage.work(), FAILED);
    t.notOk(existsSync(stage.image.path), 'the next request fetches it anew');
    t.match(await stage.driver.observeEffect(stage.id, 'install', signal), { state: 'absent' });
  });
