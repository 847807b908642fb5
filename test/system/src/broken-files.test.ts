/** A file that people edit is broken while everything runs, and then before the start. */
import { readFileSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { awaitUntil } from '@khumbu/test-support/events';
import t from 'tap';
import { startCluster, startUp } from './cluster.js';

const PATIENCE_MS = 30_000;
const SERVICES = ['gateway', 'log-worker', 'ota-worker', 'system-control'];

interface Depot {
  readonly ok: boolean;
  readonly files: readonly {
    readonly setting: string;
    readonly service: string;
    readonly usable: boolean;
    readonly reason?: string;
  }[];
}

void t.test('a broken stations file is told everywhere, and stops nothing', async (t) => {
  const dataDir = t.testdir();
  const cluster = await startCluster(t, { dataDir, stations: { gate: {} } });
  const path = join(dataDir, 'stations.yaml');
  const good = readFileSync(path, 'utf8');
  const depotIs = (ok: boolean, wanted: (depot: Depot) => boolean = () => true): Promise<Depot> =>
    awaitUntil(
      async () => {
        const depot = (await cluster.get('/depot')) as Depot;
        return depot.ok === ok && wanted(depot) ? depot : undefined;
      },
      PATIENCE_MS,
      `the depot to be ${ok ? 'well' : 'not well'}`,
    );
  const brokenIn = ({ files }: Depot): string[] =>
    files.filter(({ usable, setting }) => !usable && setting === 'STATIONS_FILE').map(({ service }) => service);
  const page = async (path: string): Promise<{ status: number; text: string }> => {
    const response = await fetch(`${cluster.endpoints.httpUrl}${path}`);
    return { status: response.status, text: await response.text() };
  };
  // Metrics are made twice a second at most.
  const gaugeIs = (value: number): Promise<unknown> =>
    awaitUntil(
      async () => (await page('/metrics')).text.includes(`\nkhumbu_file_unusable{file="STATIONS_FILE"} ${value}\n`),
      PATIENCE_MS,
      `the gauge to be ${value}`,
    );
  await depotIs(true, ({ files }) => files.filter(({ setting }) => setting === 'STATIONS_FILE').length === 4);

  truncateSync(path, good.indexOf('wwan0'));
  const cut = await depotIs(false, (depot) => brokenIn(depot).length === 4);
  t.same(brokenIn(cut), SERVICES);
  t.match(cut.files[0]?.reason, /^STATIONS_FILE: it is cut off within a line$/);
  const said = (text: RegExp): Promise<unknown> =>
    awaitUntil(
      () => text.test(cluster.said()),
      PATIENCE_MS,
      () => `${text} in ${cluster.said()}`,
    );
  await said(/^gateway-1: error: .*STATIONS_FILE: it is cut off within a line$/m);
  const isReady = async () => {
    const seen = await page('/readyz');
    return seen.status === 200 && seen;
  };
  const ready = await awaitUntil(isReady, PATIENCE_MS, 'the gateway to be ready');
  t.match(JSON.parse(ready.text), { files: 'not usable: STATIONS_FILE: it is cut off within a line' });
  await gaugeIs(1);
  t.match(await cluster.get('/stations/gate'), { configured: true, driver: 'simulated' });

  writeFileSync(`${path}.new`, 'stations:\n  gate:\n    drivr: simulated\n');
  renameSync(`${path}.new`, path);
  await said(/^ota-worker-1: error: .*STATIONS_FILE: line 3, column 5: \/stations\/gate .*drivr is not known$/m);
  t.match(await cluster.get('/stations/gate'), { configured: true, driver: 'simulated' });

  writeFileSync(path, good);
  await depotIs(true);
  t.match(JSON.parse((await page('/readyz')).text), { files: 'ok' });
  await gaugeIs(0);
  await cluster.stop();

  const refusal = async (env: Record<string, string> = {}): Promise<string> => {
    const run = await startUp({ dataDir, env });
    t.teardown(() => run.end('SIGKILL'));
    t.equal((await run.exited).code, 1);
    return run.output();
  };
  const authorities = join(dataDir, 'ca.pem');
  writeFileSync(authorities, '# ours\n-----BEGIN CERTIFICATE-----\nMIIB');
  t.match(
    await refusal({ LOCATION_CA_FILE: authorities }),
    /^khumbu: (?:ota|log)-worker-1 does not start: LOCATION_CA_FILE: entry 1 \(line 2\) "CERTIFICATE" has no END line/m,
  );
  writeFileSync(path, 'stations:\n  gate: [\n');
  t.match(await refusal(), /^khumbu: .* does not start: STATIONS_FILE: line 3, column 1: /m);
});
