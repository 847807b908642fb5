/** An update that ran out of time while its station installed: what the station boots next, and what is told of it. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { applyUpdateEvent } from '@khumbu/operations/kinds/firmware-update/transition';
import { createStore } from '@khumbu/operations/kinds/store';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { awaitEffect } from '@khumbu/station-drivers/await-effect';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import type { StationDriver } from '@khumbu/station-drivers/port';
import { createConfirm } from '@khumbu/steps/firmware-update/confirm';
import { makeImage } from '@khumbu/test-support/firmware';
import { openRedis } from '@khumbu/test-support/redis';
import t, { type Test } from 'tap';
import { depsOf, offeredUpdate, profileOf, workOn } from './update-stage.js';

const now = () => momentOf(Date.now());
const signal = AbortSignal.timeout(600_000);
const { redis } = await openRedis(t, t.testdir({}));
let count = 0;

/** Its station has installed the image, and no update waits for it any more. */
async function givenUp(t: Test, change: (simulated: StationDriver) => StationDriver = (simulated) => simulated) {
  const dir = t.testdir({ chargers: {} });
  const store = createStore(redis, `given-up${++count}`);
  const profile = profileOf({ simulated: { install_ms: 0, reboot_ms: 0 } });
  const simulated = createDriver(profile, { dataDir: join(dir, 'chargers'), redactionKey: undefined });
  const driver = change(simulated);
  const deps = depsOf({ store, profile, spoolDir: dir, driver });
  const { bytes, sha256 } = makeImage(10_000);
  const image = { path: join(dir, 'image'), sha256, sizeBytes: bytes.length };
  writeFileSync(image.path, bytes);
  const context = { now: now(), dialect: 'ocpp2.x', bootEpoch: 0 } as const;
  let record = offeredUpdate(now(), { signed: false, image: { sha256, sizeBytes: bytes.length } });
  for (const event of ['confirmed', 'fetchJoined', 'fetched', 'installBegun', 'outOfTime'] as const)
    record = applyUpdateEvent(record, event, context).record;
  await store.commit(store.transaction().put(record));
  const { id } = record;
  const install = { step: 'install', operationId: id, image } as const;
  const work = workOn(deps, { confirm: createConfirm(deps) }, id);
  const boot = async (operationId: string) => {
    await simulated.start({ step: 'reboot', operationId }, signal);
    await awaitEffect(simulated, operationId, 'reboot', signal);
    return simulated.observe(signal);
  };
  return {
    id,
    simulated,
    boot,
    async installed(): Promise<void> {
      await simulated.start(install, signal);
      await awaitEffect(simulated, id, 'install', signal);
    },
    async work(): Promise<FirmwareUpdateRecord> {
      const stored = (await store.load(id)) as FirmwareUpdateRecord;
      await store.commit(store.transaction().put({ ...stored, notBefore: 0 }));
      return work();
    },
    observed: async () => JSON.parse((await store.station('cp1')).observed ?? '{}'),
  };
}

const over = (message: string | RegExp | undefined) => ({
  slotHeld: undefined,
  state: 'InstallationFailed',
  outcome: { ok: false, reason: 'deadline', message },
});

await t.test('the slot that runs is the next to boot again, and that is told', async (t) => {
  const station = await givenUp(t);
  await station.installed();
  t.match(await station.work(), over(/the slot that runs is the next to boot again/));
  const { runningInstalledBy } = await station.boot('a-power-cut');
  t.equal(runningInstalledBy, undefined, 'the station comes up in what it ran');
});

await t.test('an image that runs already is left as it is, and told', async (t) => {
  const station = await givenUp(t);
  await station.installed();
  await station.boot('a-power-cut');
  t.match(await station.work(), over(/the station runs its image all the same/));
  t.match(await station.observed(), { by: station.id }, 'and shown as what it runs');
  t.match(await station.boot('another'), { runningInstalledBy: station.id });
});

await t.test('nothing of it is there', async (t) => {
  const station = await givenUp(t);
  t.match(await station.work(), over(undefined));
});

await t.test('a driver that cannot put it back, and one that fails: what may happen is told', async (t) => {
  const unable = await givenUp(t, (simulated) => {
    const without = { ...simulated };
    delete without.recover;
    return without;
  });
  await unable.installed();
  t.match(await unable.work(), over(/its image may start when the station boots again: the driver cannot/));

  let tries = 0;
  const broken = await givenUp(t, (simulated) => ({
    ...simulated,
    recover: async () => {
      tries += 1;
      throw new CodedError('RECOVERY_FAILED', 'the bootloader does not answer');
    },
  }));
  await broken.installed();
  t.match(await broken.work(), { slotHeld: true, waitingFor: 'error: the bootloader does not answer' });
  for (let look = 0; look < 9; look += 1) t.match(await broken.work(), { slotHeld: true });
  t.match(await broken.work(), over(/could not be kept from it: the bootloader does not answer/));
  t.equal(tries, 11);
});

await t.test('a station that is at work is looked at again', async (t) => {
  let isBusy = true;
  const station = await givenUp(t, (simulated) => ({
    ...simulated,
    recover: async (...args) => {
      if (isBusy) throw new CodedError('STATION_BUSY', 'the update tool is at work');
      return (await simulated.recover?.(...args)) ?? 'not_supported';
    },
  }));
  await station.installed();
  t.match(await station.work(), { slotHeld: true, waitingFor: 'station_busy', faults: undefined });
  isBusy = false;
  t.match(await station.work(), over(/next to boot again/));
});
