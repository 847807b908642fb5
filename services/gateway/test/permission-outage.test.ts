import { update } from '@khumbu/intake/test/fixtures';
import { slotField } from '@khumbu/operations/records/keys';
import { readStationState } from '@khumbu/operations/stations/station-state';
import { awaitUntil } from '@khumbu/test-support/events';
import t from 'tap';
import { depot, leads, startGateway } from './gateway-process.js';
import { setMqttStage } from './mqtt-stage.js';

const { redis, servers, station, storeOf } = await setMqttStage(t);

const PERMISSIONS = 600;
/** As many as a broker takes at once of a client. */
const AT_ONCE = 15;

void t.test('permissions that wait for Redis keep nobody else from being answered', async (t) => {
  const place = await depot(t, servers);
  await leads(await startGateway(t, place));
  const eager = await station(t, place);
  const other = await station(t, place, { moduleId: 'cs-2' });
  for (const everest of [eager, other]) await everest.request('get_boot_reason');
  const store = storeOf(place);
  const waiting = update('SignatureVerified');
  const slot = { [slotField('firmware_update')]: waiting.id };
  t.ok(await store.commit(store.transaction().put(waiting).setStation('cs-1', slot)));

  redis.freeze();
  t.teardown(() => redis.thaw());
  for (let sent = 0; sent < PERMISSIONS; sent += AT_ONCE)
    await Promise.all(Array.from({ length: AT_ONCE }, () => eager.allowInstallation()));
  const took: number[] = [];
  while (took.length < 4 && !(Math.min(...took) < 1500)) {
    const { reply, ms } = await other.request('is_reset_allowed', 'Soft');
    t.equal(reply, false);
    took.push(ms);
  }
  t.ok(Math.min(...took) < 1500, `the default after ${took.map(Math.round).join()} ms`);
  redis.thaw();
  const stored = await awaitUntil(
    async () => (await store.loadMany([waiting.id])).find((record) => record.version > 1),
    5000,
    'the permission to take effect',
  );
  t.match(stored, { version: 2, permission: { bootEpoch: 0, by: 'everest' } });
  // On a busy machine an answer may be the default; it goes on when one is not.
  const goesOn = async (): Promise<boolean> => (await other.request('is_reset_allowed', 'Soft')).reply === true;
  t.ok(await awaitUntil(goesOn, 30_000, 'everything to go on'), 'everything goes on');
  t.match(await store.loadMany([waiting.id]), [{ version: 2 }], 'it took effect once');
  t.equal(readStationState(await store.station('cs-1')).bootEpoch, 0);
});
