/** A restart of EVerest by its manager's lifecycle_API, over a real broker; the manager is a stand-in. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { awaitUntil } from '@khumbu/test-support/events';
import { startMosquitto } from '@khumbu/test-support/mosquitto';
import t, { type Test } from 'tap';
import { awaitEffect } from '../src/await-effect.js';
import { createRealDriver } from '../src/station/real-driver.js';
import { createSshPool } from '../src/transports/ssh/ssh-transport.js';
import { type ManagerOptions, startManager } from './lifecycle-manager.js';
import { endProcessesOf } from './stage.js';
import { makeStandIn } from './stand-in.js';

const { signal } = new AbortController();
const broker = await startMosquitto({ dir: join(t.testdir({}), 'broker') });
t.teardown(() => broker.stop());

async function place(t: Test, options?: Omit<ManagerOptions, 'url'>, limits?: RealDriverEntry['limits']) {
  execFileSync('mosquitto_pub', ['-p', String(broker.port), '-r', '-n', '-t', 'everest_api/1/lifecycle/e2m/status']);
  const charger = await makeStandIn(join(t.testdir({}), 'charger'));
  endProcessesOf(t, charger.dir);
  const manager = options && (await startManager({ ...options, url: broker.url }));
  t.teardown(() => manager?.stop());
  const pool = createSshPool();
  t.teardown(() => pool.close());
  const make = (port = broker.port) =>
    createRealDriver(
      'gate',
      {
        ...charger.entry,
        transport: 'local',
        restart_everest: { management_api: true, port },
        limits: { ...charger.entry.limits, ...limits },
      },
      pool,
    );
  const restart = async (port?: number) => {
    const driver = make(port);
    await driver.start({ step: 'restart', operationId: 'op-1' }, signal);
    return awaitEffect(driver, 'op-1', 'restart', signal);
  };
  return { charger, manager, make, restart };
}

await t.test('the modules go down and come back: it has succeeded, and a repeat asks for nothing', async (t) => {
  const { manager, make, restart, charger } = await place(t, {});
  t.same(await restart(), { state: 'succeeded' });
  await Promise.all([1, 2].map(() => make().start({ step: 'restart', operationId: 'op-1' }, signal)));
  t.equal(manager?.asked.length, 1);
  t.match(manager?.asked[0], /^everest_api\/khumbu\/restart\/[0-9a-f-]{36}$/);
  t.same(await charger.log(), [], 'the unit was left alone');
});

await t.test('modules that did not run are started', async (t) => {
  const { manager, restart } = await place(t, { answers: ['Starting'], follow: ['Starting', 'Running'] });
  await manager?.status('NotRunning');
  t.same(await restart(), { state: 'succeeded' });
});

await t.test('a manager that is just starting its modules is asked again', async (t) => {
  const { manager, restart } = await place(t, { answers: ['Rejected', 'Restarting'] });
  t.same(await restart(), { state: 'succeeded' });
  t.equal(manager?.asked.length, 2);
});

for (const [what, options, message] of [
  ['read-only, as it is without =rw', { readOnly: true }, /--lifecycle-api=rw/],
  ['nothing to start from', { answers: ['NoConfigToStart'] }, /no configuration/],
] as const)
  await t.test(what, async (t) => {
    const { restart } = await place(t, options);
    t.match(await restart(), { state: 'failed', code: 'failed', message });
  });

await t.test('the API is off: nobody answers', async (t) => {
  const { restart } = await place(t);
  t.match(await restart(), { state: 'failed', message: /does not answer.*--lifecycle-api=rw/ });
});

await t.test('there is no broker', async (t) => {
  const { restart } = await place(t);
  t.match(await restart(1), { state: 'failed', message: /no connection to the broker at 127\.0\.0\.1:1: .*refused/i });
});

await t.test('it said yes, and the modules run on, or do not come back: that is no restart', async (t) => {
  for (const follow of [[], ['RestartTriggered', 'Stopping']] as const) {
    const { restart } = await place(t, { follow }, { restart_s: 6 });
    t.match(await restart(), { state: 'failed', message: /not done in 6 s/ });
  }
});

await t.test('the manager dies of it, and another one brings the modules up', async (t) => {
  const { manager, make } = await place(t, { follow: ['Stopping'] });
  const driver = make();
  await driver.start({ step: 'restart', operationId: 'op-1' }, signal);
  const ended = awaitEffect(driver, 'op-1', 'restart', signal);
  await awaitUntil(() => manager?.told.includes('Stopping') ?? false, 30_000, 'the end of its modules');
  manager?.die();
  const next = await startManager({ url: broker.url });
  t.teardown(() => next.stop());
  t.same(await ended, { state: 'succeeded' });
  t.equal(next.asked.length, 0, 'it is not asked as well');
});
