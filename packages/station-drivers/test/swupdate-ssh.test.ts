/** A server of SSH that is killed, with all its sessions and their commands, in an install by a real SWUpdate. */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { hasCode } from '@khumbu/shared/runtime/errors';
import { awaitUntil } from '@khumbu/test-support/events';
import { hasSshd, killSessions, overSsh, type Sshd, startSshd } from '@khumbu/test-support/sshd';
import { hasSwupdate, type SwupdateStation } from '@khumbu/test-support/swupdate';
import t, { type Test } from 'tap';
import type { Effect, StationDriver } from '../src/port.js';
import { createRealDriver } from '../src/station/real-driver.js';
import { createSshPool } from '../src/transports/ssh/ssh-transport.js';
import {
  begun,
  clientsOf,
  end,
  entryOf,
  install,
  installWithClient,
  letting,
  PATIENCE_MS,
  rebooted,
  setUp,
} from './swupdate-stage.js';

const { signal } = new AbortController();
const RETRY_MS = 50;
t.setTimeout(900_000);
const only = { skip: hasSwupdate() && hasSshd() ? false : 'there is no SWUpdate or no sshd, or we are not root' };

interface Reached {
  readonly station: SwupdateStation;
  readonly sshd: Sshd;
  /** With connections of its own, as another worker has them. */
  readonly driver: () => StationDriver;
}

async function reach(t: Test): Promise<Reached> {
  const { station } = await setUp(t);
  const sshd = await startSshd({ dir: join(t.testdir({}), 'sshd') });
  t.teardown(() => sshd.stop());
  const driver = (): StationDriver => {
    const pool = createSshPool();
    t.teardown(() => pool.close());
    return createRealDriver('gate', { ...entryOf(station), ...overSsh(sshd) }, pool);
  };
  return { station, sshd, driver };
}

/** As a job that failed is tried again. Resolves with how often the way to the station was lost. */
async function startAtLast(driver: StationDriver, effect: Effect, onTransfer?: () => void): Promise<number> {
  for (let lost = 0; ; lost += 1) {
    try {
      await driver.start(effect, signal, onTransfer);
      return lost;
    } catch (error) {
      if (!hasCode(error, 'STATION_UNREACHABLE')) throw error;
      await pause(RETRY_MS);
    }
  }
}

await t.test('killed while the image is brought', only, async (t) => {
  const { station, sshd, driver } = await reach(t);
  const effect = await install(station, 'op-1', { sizeBytes: 2_500_000 });
  let kills = 0;
  const lost = await startAtLast(driver(), effect, () => {
    if (kills === 3) return;
    kills += 1;
    killSessions(sshd);
  });
  t.equal(kills, 3);
  t.ok(lost > 0, `the way to the station was lost ${lost} times`);
  t.same(await letting(station, end(driver())), { state: 'succeeded', rebootNeeded: true });
  t.equal(await station.begun(), 1, 'it was installed once');
  t.match(await rebooted(driver(), 'op-1'), { runningInstalledBy: 'op-1', slot: 'b' });
});

await t.test('killed at any moment while two workers begin it', only, async (t) => {
  const { station, sshd, driver } = await reach(t);
  const moments = [40, 130, 250, 400];
  for (const [turn, ms] of moments.entries()) {
    const operationId = `op-${turn}`;
    const effect = await install(station, operationId);
    const both = Promise.all([driver(), driver()].map((each) => startAtLast(each, effect)));
    await pause(ms);
    killSessions(sshd);
    await both;
    t.match(await letting(station, end(driver(), operationId)), { state: 'succeeded' }, `killed after ${ms} ms`);
    t.equal(await station.begun(), turn + 1, 'it was installed once');
  }
});

await t.test('killed while SWUpdate writes, and away for the rest of it: it goes on by itself', only, async (t) => {
  const { station, sshd, driver } = await reach(t);
  const { turn, operationId, client } = await installWithClient(station, driver());
  killSessions(sshd);
  await sshd.kill();
  await t.rejects(driver().observeEffect(operationId, 'install', signal), { code: 'STATION_UNREACHABLE' });
  t.same(clientsOf(station), [client], 'its client is no command of a session');
  await sshd.restart();
  t.match(await driver().observeEffect(operationId, 'install', signal), { state: 'running' });
  killSessions(sshd);
  await sshd.kill();
  await station.let();
  await awaitUntil(() => clientsOf(station).length === 0, PATIENCE_MS, 'SWUpdate to be done with it');
  await sshd.restart();
  t.same(await end(driver(), operationId), { state: 'succeeded', rebootNeeded: true });
  t.equal(await station.begun(), turn, 'it was installed once');
  t.equal(station.variable('slot'), 'b');
  t.equal(station.variable('recovery_status'), '', 'and nothing is left of it');
});

await t.test('killed together with the daemon: it is installed again in full', only, async (t) => {
  const { station, sshd, driver } = await reach(t);
  await driver().start(await install(station), signal);
  await begun(station);
  killSessions(sshd);
  await station.killDaemon();
  t.same(await letting(station, end(driver())), { state: 'succeeded', rebootNeeded: true });
  t.equal(await station.begun(), 2);
  t.match(await rebooted(driver(), 'op-1'), { runningInstalledBy: 'op-1', slot: 'b' });
});

await t.test('killed while the station restarts: one boot, and the new image runs', only, async (t) => {
  const { station, sshd, driver } = await reach(t);
  await station.let();
  await driver().start(await install(station), signal);
  t.match(await end(driver()), { state: 'succeeded' });
  const { bootId } = await driver().observe(signal);
  const reboot = { step: 'reboot', operationId: 'op-1' } as const;
  const both = Promise.all([driver(), driver()].map((each) => startAtLast(each, reboot)));
  await pause(150);
  killSessions(sshd);
  await both;
  t.match(await end(driver(), 'op-1', 'reboot'), { state: 'succeeded' });
  const after = await driver().observe(signal);
  t.not(after.bootId, bootId);
  t.match(after, { runningInstalledBy: 'op-1', slot: 'b' });
  await driver().start(reboot, signal);
  t.match(await driver().observe(signal), { bootId: after.bootId, busy: false });
});
