/** A permission that the broker has kept while no gateway was connected. */

import { update } from '@khumbu/intake/test/fixtures';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { slotField } from '@khumbu/operations/records/keys';
import { readStationState, STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import t, { type Test } from 'tap';
import { depot, leads, startGateway } from './gateway-process.js';
import { PERIODS, said, setMqttStage } from './mqtt-stage.js';

const { servers, station, storeOf } = await setMqttStage(t);

/** More than a station that started meanwhile could have counted to. */
const COUNT = 1000;
/** A station that started meanwhile can have counted to more. */
const YOUNG_COUNT = 8;
/** How long no gateway listened, where that matters. */
const GAP_MS = 12_000;

async function keptPermission(t: Test, count = COUNT) {
  const place = await depot(t, servers);
  const store = storeOf(place);
  const state = async () => readStationState(await store.station('cs-1'));
  const first = await startGateway(t, place);
  await leads(first);
  const everest = await station(t, place, { discovery: PERIODS });
  for (const id of [count - 1, count]) await everest.publishRaw('heartbeat', String(id));
  const isStored = async (): Promise<boolean> => {
    const { heartbeat, communication } = await state();
    return heartbeat?.id === count && communication !== undefined;
  };
  await awaitUntil(isStored, 5000, 'the heartbeats to be stored');
  const waiting = update('SignatureVerified');
  const slot = { [slotField('firmware_update')]: waiting.id };
  t.ok(await store.commit(store.transaction().put(waiting).setStation('cs-1', slot)));
  await first.child.end('SIGKILL');
  const { heartbeat } = await state();
  if (!heartbeat) throw new Error('no heartbeat is stored');
  const { at, steadyAt = 0 } = heartbeat;
  const older = JSON.stringify({ ...heartbeat, at: at - GAP_MS, steadyAt: steadyAt - GAP_MS });
  t.ok(await store.commit(store.transaction().setStation('cs-1', { [STATION_FIELDS.heartbeat]: older })));
  await everest.allowInstallation();
  const second = await startGateway(t, place);
  await leads(second);
  const permission = async () => ((await store.load(waiting.id)) as FirmwareUpdateRecord).permission;
  t.equal((await askUntilDecided('is_reset_allowed', () => everest.request('is_reset_allowed', 'Soft'))).reply, true);
  t.equal(await permission(), undefined, 'nobody knows yet of which boot it is');
  /** The count as it stands if this boot goes on. */
  const countNow = (): number => count + Math.ceil((Date.now() - (at - GAP_MS)) / PERIODS.heartbeat_period_ms);
  return { everest, second, state, permission, countNow };
}

void t.test('does not count for a boot that began after it', async (t) => {
  const { everest, second, state, permission } = await keptPermission(t);
  await everest.publishRaw('heartbeat', '0');
  await awaitUntil(async () => (await state()).bootEpoch === 1, 3000, 'the boot to be counted');
  t.equal(await permission(), undefined);
  await said(second, 'a permission of a boot that is over');
  await everest.allowInstallation();
  await awaitUntil(async () => (await permission())?.bootEpoch === 1, 3000, 'the permission of the new boot');
});

void t.test('counts for a boot that goes on', async (t) => {
  const { everest, permission } = await keptPermission(t);
  await everest.publishRaw('heartbeat', String(COUNT + 1));
  await awaitUntil(async () => (await permission())?.bootEpoch === 0, 3000, 'the permission');
});

void t.test('counts for a boot whose heartbeats were kept on their way, and come all at once', async (t) => {
  const { everest, second, state, permission, countNow } = await keptPermission(t, YOUNG_COUNT);
  const newest = countNow();
  const kept = [YOUNG_COUNT + 1, YOUNG_COUNT + 2, YOUNG_COUNT + 3, newest];
  await Promise.all(kept.map((id) => everest.publishRaw('heartbeat', String(id))));
  await awaitUntil(async () => (await permission())?.bootEpoch === 0, 10_000, 'the permission');
  await awaitUntil(async () => (await state()).heartbeat?.id === newest, 10_000, 'the newest heartbeat to be stored');
  t.equal((await state()).bootEpoch, 0);
  t.notMatch(second.child.stdout(), 'EVerest has started');
});

void t.test('does not count for a boot that has counted further than the one before', async (t) => {
  const { everest, second, state, permission } = await keptPermission(t, YOUNG_COUNT);
  everest.startHeartbeats(PERIODS.heartbeat_period_ms, YOUNG_COUNT + 1);
  await awaitUntil(async () => (await state()).bootEpoch === 1, 10_000, 'the boot to be counted');
  t.equal(await permission(), undefined);
  await said(second, 'a permission of a boot that is over');
  t.match((await state()).bootReason, { bootEpoch: 1, reason: 'ApplicationReset' });
});

void t.test('is stored after the heartbeat that tells its boot from the next', async (t) => {
  const place = await depot(t, servers);
  const store = storeOf(place);
  const state = async () => readStationState(await store.station('cs-1'));
  const first = await startGateway(t, place);
  await leads(first);
  const everest = await station(t, place, { discovery: PERIODS });
  await everest.request('get_boot_reason');
  const waiting = update('SignatureVerified');
  const slot = { [slotField('firmware_update')]: waiting.id };
  t.ok(await store.commit(store.transaction().put(waiting).setStation('cs-1', slot)));
  const permission = async () => ((await store.load(waiting.id)) as FirmwareUpdateRecord).permission;
  // Heartbeats are stored every two seconds: this one is younger.
  await everest.publishRaw('heartbeat', String(COUNT));
  await everest.allowInstallation();
  await awaitUntil(async () => (await permission()) !== undefined, 5000, 'the permission');
  await first.child.end('SIGKILL');
  const { heartbeat, bootEpoch } = await state();
  t.equal(heartbeat?.id, COUNT);
  const second = await startGateway(t, place);
  await leads(second);
  await everest.publishRaw('heartbeat', '0');
  await awaitUntil(async () => (await state()).bootEpoch === bootEpoch + 1, 5000, 'the boot that began meanwhile');
  t.not((await permission())?.bootEpoch, bootEpoch + 1, 'the permission is none of this boot');
});
