/** What a leader finds in its socket when it wakes up long after another one has taken its place. */

import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { applyResetEvent, type ResetRecord } from '@khumbu/operations/kinds/reset/record';
import { readStationState } from '@khumbu/operations/stations/station-state';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import type { EverestClient } from '@khumbu/test-support/everest-client';
import t, { type Test } from 'tap';
import { type Depot, depot, leads, startGateway } from './gateway-process.js';
import { PERIODS, said, setMqttStage } from './mqtt-stage.js';

const { servers, station, storeOf } = await setMqttStage(t);

const RESET = '{"scheduled":false,"type":"Soft"}';
/** What the one that wakes up does with what it found takes a moment. */
const SETTLED_MS = 1500;

const passed = (ms: number): Promise<unknown> => {
  const until = performance.now() + ms;
  return awaitUntil(() => performance.now() > until, ms + 2000, `${ms} ms to pass`);
};

/** `meanwhile` happens while the leader is frozen and the other one leads; then the leader wakes up. */
async function frozenLeader(
  t: Test,
  place: Depot,
  before: (everest: EverestClient) => Promise<unknown>,
  unread: (everest: EverestClient) => Promise<unknown>,
  meanwhile: (everest: EverestClient) => Promise<unknown>,
): Promise<void> {
  const first = await startGateway(t, place);
  await leads(first);
  const second = await startGateway(t, place);
  const everest = await station(t, place, { discovery: PERIODS });
  await before(everest);
  first.child.process.kill('SIGSTOP');
  await unread(everest);
  await leads(second);
  await meanwhile(everest);
  first.child.process.kill('SIGCONT');
  await said(first, 'not the leader any more');
  await passed(SETTLED_MS);
}

const beats = async (everest: EverestClient): Promise<unknown> => {
  everest.startHeartbeats(PERIODS.heartbeat_period_ms);
  return everest.messages.awaitItem(({ leaf }) => leaf === 'communication_check', 3000, 'a check');
};

void t.test('a reset that another has done is not done again', async (t) => {
  const place = await depot(t, servers);
  const store = storeOf(place);
  const resets = async (): Promise<ResetRecord[]> =>
    (await store.operationsOf('cs-1')).filter((record): record is ResetRecord => record.kind === 'reset');
  await frozenLeader(
    t,
    place,
    async (everest) => {
      await beats(everest);
      t.equal(
        (await askUntilDecided('is_reset_allowed', () => everest.request('is_reset_allowed', 'Soft'))).reply,
        true,
      );
    },
    (everest) => everest.publishRaw('reset', RESET),
    async () => {
      const reset = await awaitUntil(async () => (await resets())[0], 5000, 'the reset of the one that leads now');
      const context = { now: momentOf(Date.now()) };
      t.ok(await store.commit(store.transaction().put(applyResetEvent(reset, 'failed', context))));
    },
  );
  t.match(await resets(), [{ state: 'Failed' }]);
});

void t.test('a boot that another has counted is not counted again', async (t) => {
  const place = await depot(t, servers);
  const state = async () => readStationState(await storeOf(place).station('cs-1'));
  await frozenLeader(
    t,
    place,
    async (everest) => {
      for (const beat of ['100', '101', '102']) await everest.publishRaw('heartbeat', beat);
      await everest.messages.awaitItem(({ leaf }) => leaf === 'communication_check', 3000, 'a check');
      await awaitUntil(async () => (await state()).heartbeat?.id === 102, 5000, 'the heartbeats to be stored');
    },
    async (everest) => everest.startHeartbeats(PERIODS.heartbeat_period_ms),
    () => awaitUntil(async () => (await state()).bootEpoch === 1, 5000, 'the boot to be counted'),
  );
  t.equal((await state()).bootEpoch, 1);
});
