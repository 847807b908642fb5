/** The contract of station drivers over both transports, with a real SSH server. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { awaitUntil } from '@khumbu/test-support/events';
import { startOrigin } from '@khumbu/test-support/origin';
import { hasSshd, overSsh, startSshd } from '@khumbu/test-support/sshd';
import t, { type Test } from 'tap';
import { type ContractStation, driverContract } from '../src/contract/driver-contract.js';
import type { StationDriver } from '../src/port.js';
import { driversOfTwoWorkers, endProcessesOf } from './stage.js';
import { makeStandIn, type StandIn } from './stand-in.js';

const { signal } = new AbortController();
t.setTimeout(900_000);

async function finish(charger: StandIn, driver: () => StationDriver): Promise<void> {
  await charger.let();
  await awaitUntil(async () => !(await driver().observe(signal)).busy, 20_000, 'the effect to end');
}

async function contractStation(t: Test, transport: Pick<RealDriverEntry, 'transport'>): Promise<ContractStation> {
  const charger = await makeStandIn(join(t.testdir({}), 'charger'));
  endProcessesOf(t, charger.dir);
  const entry: RealDriverEntry = { ...charger.entry, ...transport };
  const driver = driversOfTwoWorkers(t, entry);
  return {
    driver,
    image: (name) => charger.image(name),
    finish: () => finish(charger, driver),
    interfaceName: 'eth0',
  };
}

await t.test('a charger that fetches its images itself', async (t) => {
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  await driverContract(t, async (t) => {
    const charger = await makeStandIn(join(t.testdir({}), 'charger'));
    endProcessesOf(t, charger.dir);
    const entry: RealDriverEntry = { ...charger.pulling(origin.url), transport: 'local' };
    const driver = driversOfTwoWorkers(t, entry);
    return {
      driver,
      async image(name) {
        const image = await charger.image(name);
        const { pathname } = new URL(origin.serve(`/${image.sha256}`, Buffer.from(name)));
        return { ...image, contentPath: async () => pathname };
      },
      finish: () => finish(charger, driver),
      interfaceName: 'eth0',
    };
  });
  const ranges = new Set(origin.requests.items.map(({ headers }) => headers.range));
  t.same(ranges, new Set(['bytes=0-1', 'bytes=2-']));
});

await t.test('what is pulled is never brought, and nothing is begun without a URL', async (t) => {
  const origin = await startOrigin();
  t.teardown(() => origin.close());
  const charger = await makeStandIn(join(t.testdir({}), 'charger'));
  endProcessesOf(t, charger.dir);
  const driver = driversOfTwoWorkers(t, { ...charger.pulling(origin.url), transport: 'local' });
  const image = await charger.image('a');
  await t.rejects(driver().start({ step: 'install', operationId: 'op-1', image }, signal), { code: 'NOT_SUPPORTED' });
  t.same(await driver().observeEffect('op-1', 'install', signal), { state: 'absent' });

  const asked: number[] = [];
  const other = Buffer.from('another image');
  const contentPath = async (seconds: number): Promise<string> => {
    asked.push(seconds);
    return new URL(origin.serve('/other', other)).pathname;
  };
  const sent: number[] = [];
  const effect = { step: 'install', operationId: 'op-2', image: { ...image, contentPath } } as const;
  await driver().start(effect, signal, (bytes) => sent.push(bytes));
  await finish(charger, driver);
  t.match(await driver().observeEffect('op-2', 'install', signal), { state: 'failed', code: 'verification_failed' });
  t.same(sent, []);
  t.same(readdirSync(join(charger.dir, 'state', 'images')), []);
  t.same(asked, [charger.entry.limits?.install_s], 'good for as long as the install may take');
});

await t.test('local', async (t) => {
  await driverContract(t, (t) => contractStation(t, { transport: 'local' }));
});

await t.test('ssh', { skip: hasSshd() ? false : 'there is no sshd' }, async (t) => {
  const sshd = await startSshd({ dir: join(t.testdir({}), 'sshd') });
  t.teardown(() => sshd.stop());
  await driverContract(t, (t) => contractStation(t, overSsh(sshd)));
});
