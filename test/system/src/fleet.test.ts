import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { makeImage, makeSigner } from '@khumbu/test-support/firmware';
import { startOrigin } from '@khumbu/test-support/origin';
import { SIGNED, UNSIGNED, withoutDelayedPermission, withoutRepeats } from '@khumbu/test-support/statuses';
import t from 'tap';
import { startCluster } from './cluster.js';
import { allowAfter, connect, PATIENCE_MS, runningImage, update } from './everest.js';
import { bootReasonOf, firmwareStatuses, SELDOM, startFleet } from './simulators.js';

const MB = 1_000_000;

const dir = t.testdir({ keys: {} });
const origin = await startOrigin();
t.teardown(() => origin.close());

await t.test('one cluster, one depot', async (t) => {
  const cluster = await startCluster(t, {
    dataDir: `${dir}/one`,
    stations: { in_a_row: { simulated: { install_ms: 1000, reboot_ms: 1000 } } },
  });
  const signer = await makeSigner(`${dir}/keys`, 'rsa-pss');

  await t.test('six updates in a row on one station', async (t) => {
    // Installed waits for a heartbeat after the reboot: rarer ones would be waited for six times.
    const [station] = (await startFleet(t, cluster, ['in_a_row'], { ...SELDOM, heartbeatMs: 10_000 })).stations;
    if (!station) throw new Error('a fleet of one has one station');
    for (let id = 1; id <= 6; id += 1) {
      const image = makeImage(200_000, `row ${id}`);
      const request = { request_id: id, location: origin.serve(`/row-${id}.bin`, image.bytes) };
      const signed = { ...request, ...signer.signed(image.bytes) };
      const { reply } = await askUntilDecided('update_firmware', () => station.request('update_firmware', signed));
      t.equal(reply, 'Accepted');
      await station.awaitStatus(({ requestId, status }) => requestId === id && status === 'Installed', PATIENCE_MS);
      t.same(withoutDelayedPermission(firmwareStatuses(station, id)), SIGNED);
      t.equal(runningImage(await cluster.charger('in_a_row')), image.sha256);
      t.equal(await bootReasonOf(station, id + 1), 'FirmwareUpdate', 'the reason of the boot');
    }
    t.equal((await cluster.charger('in_a_row')).installCount, 6);
    t.same(station.violations, []);
  });

  await t.test('one image for twenty stations at once leaves its origin once', async (t) => {
    const names = Array.from({ length: 20 }, (_, index) => `depot_${index + 1}`);
    const { stations } = await startFleet(t, cluster, names);
    const image = makeImage(3 * MB, 'depot');
    const request = { request_id: 7, location: origin.serve('/depot.bin', image.bytes), ...signer.signed(image.bytes) };
    const replies = stations.map(
      async (station) =>
        (await askUntilDecided('update_firmware', () => station.request('update_firmware', request))).reply,
    );
    t.same(await Promise.all(replies), Array(20).fill('Accepted'));
    await Promise.all(
      stations.map((station) => station.awaitStatus(({ status }) => status === 'Installed', 2 * PATIENCE_MS)),
    );
    for (const station of stations) {
      t.same(withoutDelayedPermission(firmwareStatuses(station, 7)), SIGNED, station.station);
      t.same(station.violations, [], station.station);
      const charger = await cluster.charger(station.station);
      t.equal(runningImage(charger), image.sha256);
      t.equal(charger.installCount, 1);
    }
    const asked = origin.requests.items.filter(({ path }) => path === '/depot.bin');
    t.equal(asked.filter(({ status }) => status === 200).length, 1);
    t.ok(origin.stats('/depot.bin').bodyBytes <= image.bytes.length * 1.01);
  });
});

await t.test('behind a prefix two stations with the same module id are two stations', async (t) => {
  const cluster = await startCluster(t, {
    dataDir: `${dir}/depot`,
    env: { MQTT_TOPIC_PREFIX: 'depot/{station}/' },
  });
  const west = await connect(t, cluster, 'system_api', { prefix: 'depot/west/', heartbeatMs: 200 });
  const east = await connect(t, cluster, 'system_api', { prefix: 'depot/east/', heartbeatMs: 200 });
  const location = origin.serve('/prefix.bin', makeImage(200_000, 'prefix').bytes);
  t.same(await Promise.all([update(west, 1, { location }), update(east, 1, { location })]), ['Accepted', 'Accepted']);
  await Promise.all([west.awaitStatus(1, 'Downloaded', PATIENCE_MS), east.awaitStatus(1, 'Downloaded', PATIENCE_MS)]);
  await allowAfter(west, 1, 'Downloaded');
  t.same(withoutRepeats(west.statusNames(1)), UNSIGNED);
  t.same(
    withoutRepeats(east.statusNames(1)),
    ['Downloading', 'Downloaded'],
    'permission for one is not permission for the other',
  );
  await allowAfter(east, 1, 'Downloaded');
  t.same(withoutRepeats(east.statusNames(1)), UNSIGNED);
  const listed = (await cluster.get('/stations')) as { items: { stationId: string; moduleId: string }[] };
  t.same(
    listed.items.map(({ stationId, moduleId }) => `${stationId} ${moduleId}`),
    ['east system_api', 'west system_api'],
  );
});
