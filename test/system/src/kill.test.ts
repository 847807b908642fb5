import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { freePort } from '@khumbu/shared/runtime/free-port';
import type { EverestModule } from '@khumbu/station-simulator/everest-module';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import { makeImage, makeSigner } from '@khumbu/test-support/firmware';
import { type Behaviour, startOrigin } from '@khumbu/test-support/origin';
import { SIGNED, withoutDelayedPermission } from '@khumbu/test-support/statuses';
import t from 'tap';
import { type Cluster, type ProcessName, startCluster } from './cluster.js';
import { connect, PATIENCE_MS, runningImage } from './everest.js';
import { bootReasonOf, firmwareStatuses, startFleet, startStation } from './simulators.js';

const MB = 1_000_000;
const SLOW: Behaviour = { bytesPerSecond: 200_000 };
/** What may be on its way to us, beside the 256 KiB that a killed download may lose. */
const IN_FLIGHT = 256 * 1024;
const STATIONS = ['one', 'two', 'three'];
const VICTIMS: readonly ProcessName[] = ['gateway-1', 'ota-worker-1', 'redis'];
const MOMENTS = ['Accepted', ...SIGNED] as const;

const dir = t.testdir({ keys: {} });
const origin = await startOrigin();
t.teardown(() => origin.close());
const signer = await makeSigner(`${dir}/keys`);

/** Resolves when the first of the stations has received the status. */
const firstToHear = (stations: readonly EverestModule[], id: number, status: string): Promise<unknown> =>
  Promise.race(
    stations.map((station) => station.awaitStatus((one) => one.requestId === id && one.status === status, PATIENCE_MS)),
  );
const installed = (stations: readonly EverestModule[], id: number): Promise<unknown> =>
  Promise.all(
    stations.map((station) =>
      station.awaitStatus((one) => one.requestId === id && one.status === 'Installed', PATIENCE_MS),
    ),
  );

/** How often the gateway has said that it tells a station something again, whose heartbeats came late. */
const toldAgain = ({ dataDir }: Cluster, station: string): number =>
  readFileSync(`${dataDir}/log/gateway-1.log`, 'utf8')
    .split('\n')
    .filter((line) => line.includes('told again') && line.includes(`"station":"${station}"`)).length;

await t.test('a process is killed', async (t) => {
  const cluster = await startCluster(t, {
    dataDir: `${dir}/kill`,
    simulated: { install_ms: 600, reboot_ms: 600 },
    stations: {
      logs: { simulated: { log_interval_ms: 100, log_history_s: 36_000 } },
      reset: { simulated: { reboot_ms: 10_000 } },
    },
  });
  const { stations } = await startFleet(t, cluster, STATIONS);
  let id = 0;

  for (const victim of VICTIMS) {
    for (const moment of MOMENTS) {
      id += 1;
      const requestId = id;
      await t.test(`${victim} at ${moment}`, async (t) => {
        const image = makeImage(MB, `${victim} ${moment}`);
        const path = `/${victim}-${moment}.bin`;
        const slow = moment === 'Accepted' || moment === 'Downloading';
        const location = origin.serve(path, image.bytes, slow ? SLOW : {});
        const request = { request_id: requestId, location, ...signer.signed(image.bytes) };
        // Who was killed before may just be back: a gateway that had no word of Redis for a while answers by default at once.
        const ask = (station: EverestModule) =>
          awaitUntil(
            async () => (await station.request('update_firmware', request)).reply === 'Accepted',
            PATIENCE_MS,
            `${station.station} to be accepted`,
          );
        await Promise.all(stations.map(ask));
        if (moment === 'Downloading') await origin.awaitBytes(path, 300_000);
        else if (moment !== 'Accepted') await firstToHear(stations, requestId, moment);
        await cluster.kill(victim);
        await installed(stations, requestId);
        for (const station of stations) {
          const told = firmwareStatuses(station, requestId);
          t.same(withoutDelayedPermission(told), SIGNED, `${station.station} heard ${told.join(' ')}`);
          const finals = told.filter((status) => status === 'Installed').length;
          const again = toldAgain(cluster, station.station);
          t.ok(
            finals <= 1 + again || moment === 'Installed',
            'told again if it was killed meanwhile, or was not heard',
          );
          const charger = await cluster.charger(station.station);
          t.equal(charger.installCount, requestId, 'one install');
          t.equal(runningImage(charger), image.sha256);
        }
        t.ok(origin.stats(path).bodyBytes <= image.bytes.length + 256 * 1024 + IN_FLIGHT, 'the download goes on');
      });
    }
  }

  await t.test('and nothing comes later', async (t) => {
    for (const station of stations) {
      for (let each = 1; each <= id; each += 1) {
        t.same(withoutDelayedPermission(firmwareStatuses(station, each)), SIGNED);
      }
      t.same(station.violations, [], station.station);
    }
  });

  await t.test('log-worker-1 in an upload', async (t) => {
    const client = await connect(t, cluster, 'logs');
    const location = origin.receive('/logs/killed', [{ stallAfterBytes: 0 }, {}]);
    const ask = { request_id: 1, type: 'DiagnosticsLog', location };
    // Redis has just been started again: until it is there, requests are refused.
    await awaitUntil(
      async () =>
        ((await client.request('upload_logs', ask)).reply as { upload_logs_status: string }).upload_logs_status ===
        'Accepted',
      PATIENCE_MS,
      'the request to be accepted',
    );
    await origin.requests.awaitItem(({ path }) => path === '/logs/killed', PATIENCE_MS, 'the upload');
    await cluster.kill('log-worker-1');
    await client.awaitStatus(1, 'Uploaded', PATIENCE_MS);
    t.same(client.statusNames(1), ['Uploading', 'Uploaded']);
    const [upload] = origin.uploads.items.filter(({ status }) => status === 201);
    const lines = gunzipSync(upload?.body ?? Buffer.alloc(0))
      .toString('latin1')
      .match(/^\d{4}-.*Z \d{10} /gm);
    t.ok((lines?.length ?? 0) > 350_000, `all of its ${lines?.length} records`);
  });

  await t.test('system-control-1 in a reset', async (t) => {
    const station = await startStation(t, cluster, 'reset');
    await bootReasonOf(station, 1);
    station.reset('Hard');
    await awaitUntil(
      async () => (await cluster.charger('reset')).effect?.step === 'reboot',
      PATIENCE_MS,
      'the charger to reboot',
    );
    await cluster.kill('system-control-1');
    await awaitUntil(
      async () => ((await cluster.get('/stations/reset')) as { operations: unknown[] }).operations.length === 0,
      PATIENCE_MS,
      'the reset to be over',
    );
    t.equal((await cluster.charger('reset')).everestStarts, 2);
    t.equal(await bootReasonOf(station, 2), 'RemoteReset');
    t.equal(station.boots.length, 2);
  });
});

await t.test('everything is killed in the middle of two updates, and started again', async (t) => {
  const options = {
    dataDir: `${dir}/crash`,
    simulated: { install_ms: 1000 },
    // EVerest comes back to the broker it knows.
    env: { MQTT_PORT: String(await freePort()) },
  };
  const cluster = await startCluster(t, options);
  const { stations } = await startFleet(t, cluster, ['installing', 'fetching'], { communicationCheckS: 0 });
  const [installing, fetching] = stations;
  if (!installing || !fetching) throw new Error('a fleet of two has two stations');
  const image = makeImage(1.5 * MB, 'crash');
  const ask = async (station: EverestModule, location: string): Promise<unknown> =>
    (
      await askUntilDecided('update_firmware', () =>
        station.request('update_firmware', { request_id: 1, location, ...signer.signed(image.bytes) }),
      )
    ).reply;
  t.equal(await ask(fetching, origin.serve('/crash-slow.bin', image.bytes, SLOW)), 'Accepted');
  t.equal(await ask(installing, origin.serve('/crash.bin', image.bytes)), 'Accepted');
  await firstToHear([installing], 1, 'Installing');
  await cluster.crash();
  await startCluster(t, options);
  await installed(stations, 1);
  for (const station of stations) {
    t.same(withoutDelayedPermission(firmwareStatuses(station, 1)), SIGNED);
    t.same(station.violations, []);
    const charger = await cluster.charger(station.station);
    t.equal(charger.installCount, 1);
    t.equal(runningImage(charger), image.sha256);
  }
  t.ok(origin.stats('/crash-slow.bin').bodyBytes <= image.bytes.length + 256 * 1024 + IN_FLIGHT);
});
