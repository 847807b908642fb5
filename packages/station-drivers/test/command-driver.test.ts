/** The contract of station drivers over both transports, with a real SSH server. */
import { join } from 'node:path';
import type { RealDriverEntry } from '@khumbu/shared/stations/driver-entry';
import { awaitUntil } from '@khumbu/test-support/events';
import { hasSshd, overSsh, startSshd } from '@khumbu/test-support/sshd';
import t, { type Test } from 'tap';
import { type ContractStation, driverContract } from '../src/contract/driver-contract.js';
import { driversOfTwoWorkers, endProcessesOf } from './stage.js';
import { makeStandIn } from './stand-in.js';

const { signal } = new AbortController();
t.setTimeout(300_000);

async function contractStation(t: Test, transport: Pick<RealDriverEntry, 'transport'>): Promise<ContractStation> {
  const charger = await makeStandIn(join(t.testdir({}), 'charger'));
  endProcessesOf(t, charger.dir);
  const entry: RealDriverEntry = { ...charger.entry, ...transport };
  const driver = driversOfTwoWorkers(t, entry);
  return {
    driver,
    image: (name) => charger.image(name),
    async finish() {
      await charger.let();
      await awaitUntil(async () => !(await driver().observe(signal)).busy, 20_000, 'the effect to end');
    },
    interfaceName: 'eth0',
  };
}

await t.test('local', async (t) => {
  await driverContract(t, (t) => contractStation(t, { transport: 'local' }));
});

await t.test('ssh', { skip: hasSshd() ? false : 'there is no sshd' }, async (t) => {
  const sshd = await startSshd({ dir: join(t.testdir({}), 'sshd') });
  t.teardown(() => sshd.stop());
  await driverContract(t, (t) => contractStation(t, overSsh(sshd)));
});
