/** Two stations that use one identity, and one station that only restarts often. */

import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { readStationState } from '@khumbu/operations/stations/station-state';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import t from 'tap';
import { API_KEY, depot, type Gateway, leads, startGateway } from './gateway-process.js';
import { said, setMqttStage } from './mqtt-stage.js';
import { askInNewBoot } from './new-boot.js';

const { servers, station, storeOf } = await setMqttStage(t);

const PATIENCE_MS = 60_000;
const DISCOVERY = { heartbeat_period_ms: 1000, communication_check_period_s: 5, request_reply_timeout_s: 60 };
const DUPLICATE = 'two stations use one identity';
const CONFLICT_SHOWN = 'two stations use this identity';

const viewOf = async (gateway: Gateway): Promise<Record<string, unknown>> =>
  (await gateway.get('/v1/stations/cs-1', API_KEY)).body;

for (const answers of ['discovery and heartbeats', 'heartbeats alone'] as const)
  void t.test(
    `two stations of one identity are shown at once, and not for long after one is gone: ${answers}`,
    async (t) => {
      const place = await depot(t, servers);
      const gateway = await startGateway(t, place);
      await leads(gateway);
      const discovery = answers === 'heartbeats alone' ? {} : { discovery: DISCOVERY };
      const first = await station(t, place, discovery);
      t.equal((await askUntilDecided('get_boot_reason', () => first.request('get_boot_reason'))).reply, 'PowerUp');
      first.startHeartbeats(1000);
      await first.messages.awaitItem(({ leaf }) => leaf === 'communication_check', PATIENCE_MS, 'a check');
      const second = await station(t, place, discovery);
      second.startHeartbeats(1000);
      await awaitUntil(async () => (await viewOf(gateway)).conflict === true, PATIENCE_MS, 'REST to show it');
      await said(gateway, DUPLICATE, PATIENCE_MS);
      // It goes on with all the others.
      const isShown = async (): Promise<boolean> => {
        const { status, body } = await gateway.ready();
        return status === 200 && [CONFLICT_SHOWN, 'cs-1'].every((text) => String(body.stations).includes(text));
      };
      await awaitUntil(isShown, PATIENCE_MS, 'health to show it');
      const metrics = (): Promise<string> => fetch(`${gateway.url}/metrics`).then((r) => r.text());
      const isCounted = async (): Promise<boolean> => (await metrics()).includes('khumbu_stations_in_conflict 1\n');
      await awaitUntil(isCounted, PATIENCE_MS, 'the metrics to count it');
      t.equal((await first.request('is_reset_allowed', 'Soft')).reply, false, 'nothing is done with either');

      await second.close(true);
      const goneAt = performance.now();
      await awaitUntil(async () => (await viewOf(gateway)).conflict === false, PATIENCE_MS, 'it to be over');
      const ms = performance.now() - goneAt;
      t.ok(ms < 30_000, `half a minute is long for three heartbeats on the busiest machine: ${ms} ms`);
      await said(gateway, 'has its identity for itself again', PATIENCE_MS);
      t.equal((await gateway.ready()).body.stations, 'ok');
      t.equal((await askUntilDecided('is_reset_allowed', () => first.request('is_reset_allowed', 'Soft'))).reply, true);
    },
  );

void t.test('restarts of our own never look like a second station, however many there are', async (t) => {
  const place = await depot(t, servers);
  const gateway = await startGateway(t, place);
  await leads(gateway);
  const store = storeOf(place);
  const state = async () => readStationState(await store.station('cs-1'));
  // It beats far more often than it says: half a second without a heartbeat is a busy machine, and no silence.
  const discovery = { ...DISCOVERY, heartbeat_period_ms: 5000 };
  const beatEveryMs = 200;
  for (let boot = 0; boot < 12; boot++) {
    const everest = await station(t, place, { discovery });
    if (boot === 0)
      t.equal((await askUntilDecided('get_boot_reason', () => everest.request('get_boot_reason'))).reply, 'PowerUp');
    // Its question and its first heartbeat come in any order, and it lives for one heartbeat or for some.
    const asking =
      boot === 0 || boot % 3 === 2 ? undefined : askInNewBoot(everest, { store, epoch: boot, timeoutMs: PATIENCE_MS });
    const beats = 1 + (boot % 3);
    let id = 0;
    const beat = (): void => void everest.publishRaw('heartbeat', String(id++)).catch(() => undefined);
    beat();
    const beating = setInterval(beat, beatEveryMs);
    t.teardown(() => clearInterval(beating));
    if (asking) t.equal((await asking).reply, 'RemoteReset');
    await awaitUntil(async () => (await state()).bootEpoch === boot, PATIENCE_MS, `boot ${boot} to be counted`);
    await awaitUntil(() => id >= beats, PATIENCE_MS, `${beats} heartbeats`);
    clearInterval(beating);
    // One that nobody hears beat before it is gone cannot be told from the next one.
    await everest.publishRaw('heartbeat', String(id++));
    await everest.request('is_reset_allowed', 'Soft', { timeoutMs: PATIENCE_MS });
    await everest.close(true);
    const expected = { reason: 'RemoteReset', operationId: `o-${boot}`, at: momentOf(Date.now()).monotonic };
    await store.commit(store.transaction().setStation('cs-1', { restartExpected: JSON.stringify(expected) }));
  }
  t.equal((await viewOf(gateway)).conflict, false);
  t.notOk(gateway.child.output().includes(DUPLICATE), 'nor was it thought so in between');
});
