/** What REST, health and the log say of stations that are not there, or that nothing is done with. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { askUntilServed } from '@khumbu/test-support/ask-until-served';
import { awaitUntil } from '@khumbu/test-support/events';
import t from 'tap';
import { API_KEY, depot, leads, onceReady, startGateway } from './gateway-process.js';
import { PERIODS, said, setMqttStage } from './mqtt-stage.js';

const { servers, station } = await setMqttStage(t);
const PATIENCE_MS = 60_000;

void t.test('a station that was never heard is not there, nor is one that has left', async (t) => {
  const place = await depot(t, servers, { stations: { 'cs-1': { driver: 'simulated' } } });
  const gateway = await startGateway(t, place);
  await leads(gateway);
  const view = async () => (await gateway.get('/v1/stations/cs-1', API_KEY)).body;
  t.match(await view(), { presence: 'never_heard', away: true, configured: true, firstSeenAt: undefined });
  const everest = await station(t, place, { heartbeatMs: 200, discovery: PERIODS });
  const isHere = async () => {
    const one = await view();
    return one.presence === 'here' && one;
  };
  t.match(await awaitUntil(isHere, PATIENCE_MS, 'it to be there'), { away: false, refusedBecause: undefined });
  await everest.close(true);
  const isAway = async () => {
    const one = await view();
    return one.presence === 'away' && one;
  };
  t.equal((await awaitUntil(isAway, PATIENCE_MS, 'it to be away')).away, true);
});

void t.test('a station that is listed without a driver is shown as refused, until it has one', async (t) => {
  const listed = { 'cs-1': { driver: 'simulated' }, 'cs-2': {}, 'cs-3': { dialect: 'ocpp1.6' } };
  const place = await depot(t, servers, { stations: listed });
  const gateway = await startGateway(t, place);
  await leads(gateway);
  await said(gateway, 'listed without a driver', PATIENCE_MS);
  const line = gateway.child
    .stdout()
    .split('\n')
    .find((text) => text.includes('listed without a driver'));
  t.match(JSON.parse(line ?? '{}'), { level: 40, stations: 'cs-2, cs-3' }, 'at warn');
  t.match(await onceReady(gateway), { status: 200, body: { stations: 'listed without a driver: cs-2, cs-3' } });
  t.match((await gateway.get('/v1/stations', API_KEY)).body.items, [
    { stationId: 'cs-1', configured: true, refusedBecause: undefined },
    { stationId: 'cs-2', configured: false, refusedBecause: 'no_driver' },
    { stationId: 'cs-3', configured: false, refusedBecause: 'no_driver' },
  ]);
  const everest = await station(t, place, { moduleId: 'cs-2' });
  t.equal((await everest.request('is_reset_allowed', 'Soft')).reply, false);
  const order = (): Promise<Response> =>
    fetch(`${gateway.url}/v1/stations/cs-2/reset`, {
      method: 'POST',
      headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
      body: '{"type":"Soft"}',
    });
  const refused = await askUntilServed(order, PATIENCE_MS, 'the order');
  t.equal(refused.status, 409);
  t.match(await refused.json(), { code: 'STATION_NOT_CONFIGURED', detail: /without a driver/ });
  const unlisted = await station(t, place, { moduleId: 'cs-9', heartbeatMs: 200 });
  const shown = async () => (await gateway.get('/v1/stations/cs-9', API_KEY)).body.refusedBecause;
  await awaitUntil(async () => (await shown()) === 'not_listed', PATIENCE_MS, 'it to be shown as not listed');
  await unlisted.close(true);

  const mended = { ...listed, 'cs-2': { driver: 'simulated' }, 'cs-3': { driver: 'simulated' } };
  await writeFile(join(place.dir, 'stations.yaml'), JSON.stringify({ stations: mended }));
  const isMended = async () => (await gateway.ready()).body.stations === 'ok';
  await awaitUntil(isMended, PATIENCE_MS, 'health to be content');
  t.equal((await askUntilDecided('is_reset_allowed', () => everest.request('is_reset_allowed', 'Soft'))).reply, true);
});
