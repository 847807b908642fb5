/** How statuses reach a station that comes, goes and restarts. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import type { EverestClient } from '@khumbu/test-support/everest-client';
import { PLAIN, withoutRepeats } from '@khumbu/test-support/statuses';
import { connectAsync } from 'mqtt';
import t from 'tap';
import { depot, leads, startGateway } from './gateway-process.js';
import { PERIODS, setMqttStage } from './mqtt-stage.js';

const { announce, broker, fallSilent, servers, station, storeOf } = await setMqttStage(t);

/** One that is silent for a while on a busy machine is not away yet. */
const SLOW = { ...PERIODS, heartbeat_period_ms: 3000 };
const bootQuestion = (everest: EverestClient) =>
  askUntilDecided('get_boot_reason', () => everest.request('get_boot_reason'));

/** Much longer than anything takes on a busy machine. */
const PATIENCE_MS = 60_000;

void t.test('statuses: in order, held while the station is away, told after its first heartbeat', async (t) => {
  const place = await depot(t, servers);
  await leads(await startGateway(t, place));
  const everest = await station(t, place, { heartbeatMs: 200, discovery: PERIODS });
  await everest.messages.awaitItem(({ leaf }) => leaf === 'communication_check', PATIENCE_MS, 'a check');
  await announce(
    place,
    PLAIN.map((name) => [1, name]),
  );
  await everest.awaitStatus(1, 'Installed', PATIENCE_MS);
  t.same(withoutRepeats(everest.statusNames(1)), PLAIN);

  await fallSilent(place, everest, 1_000_000);
  await announce(place, [[2, 'Downloading']]);
  await announce(place, [[2, 'Downloaded']]);
  const heldFrom = performance.now();
  await awaitUntil(() => performance.now() - heldFrom > 1500, PATIENCE_MS, 'longer than a sweep');
  t.same(everest.statusNames(2), [], 'nobody would hear them');
  everest.startHeartbeats(200);
  await everest.awaitStatus(2, 'Downloaded', PATIENCE_MS);
  t.same(withoutRepeats(everest.statusNames(2)), ['Downloading', 'Downloaded']);
  const isEmpty = async () => (await storeOf(place).outboxEntries('cs-1')).length === 0;
  await awaitUntil(isEmpty, PATIENCE_MS, 'what was told leaves the outbox');
});

void t.test('a status told when the station had just left is told again when it is back', async (t) => {
  const place = await depot(t, servers);
  await leads(await startGateway(t, place));
  // A bridge to the station's own broker listens all the time, so the broker cannot tell that nobody does.
  const bridge = await connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => bridge.endAsync(true));
  await bridge.subscribeAsync(`${place.topicPrefix}everest_api/#`);
  const isTold = async () => (await storeOf(place).outboxEntries('cs-1')).length === 0;
  let id = 0;
  const leaveAndReturn = async (status: string, backWith: number, isRepeated: boolean): Promise<string[]> => {
    id += 1;
    const before = await station(t, place, { discovery: SLOW });
    before.startHeartbeats(200);
    const isCheck = ({ leaf }: { leaf: string }): boolean => leaf === 'communication_check';
    await before.messages.awaitAll((all) => all.filter(isCheck).length > 1, PATIENCE_MS, 'checks in its own period');
    await before.close(true);
    await announce(place, [[id, status]]);
    await awaitUntil(isTold, PATIENCE_MS, 'the status to be told to nobody');
    const leftAt = performance.now();
    await awaitUntil(() => performance.now() - leftAt > 4 * SLOW.heartbeat_period_ms, PATIENCE_MS, 'four periods');
    const after = await station(t, place, { discovery: SLOW });
    // It goes on to beat: with one heartbeat it is away again before a busy gateway has come to telling it.
    after.startHeartbeats(1000, backWith);
    await after.messages.awaitItem(({ leaf }) => leaf === 'communication_check', PATIENCE_MS, 'a check');
    await announce(place, [[1000 + id, 'Downloading']]);
    await after.awaitStatus(1000 + id, 'Downloading', PATIENCE_MS);
    if (isRepeated) await after.awaitStatus(id, status, PATIENCE_MS);
    const told = withoutRepeats(after.statusNames(id));
    await after.close(true);
    return told;
  };
  t.same(
    await leaveAndReturn('Downloaded', 1000, true),
    ['Downloaded'],
    'it was away: nothing but the line has changed',
  );
  t.same(await leaveAndReturn('Downloaded', 0, false), [], 'EVerest has restarted: the trigger is seen to elsewhere');
  t.same(await leaveAndReturn('Installed', 0, true), ['Installed'], 'an end is never lost');
});

void t.test('an end that a late heartbeat of the boot before let go is told to the new boot too', async (t) => {
  const place = await depot(t, servers);
  await leads(await startGateway(t, place));
  const bridge = await connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => bridge.endAsync(true));
  await bridge.subscribeAsync(`${place.topicPrefix}everest_api/#`);
  const outbox = () => storeOf(place).outboxEntries('cs-1');
  /** More than the clocks of two processes may differ. */
  const passed = (ms: number): Promise<unknown> => {
    const from = performance.now();
    return awaitUntil(() => performance.now() - from > ms, ms + PATIENCE_MS, 'some time to pass');
  };
  let id = 0;
  const endAcrossBoot = async (begin: (everest: EverestClient) => Promise<unknown> | undefined): Promise<string[]> => {
    id += 1;
    const before = await station(t, place, { discovery: PERIODS });
    await askUntilDecided('get_boot_reason', () => before.request('get_boot_reason'));
    for (const beat of [100, 101, 102]) await before.publishRaw('heartbeat', String(beat));
    await before.messages.awaitItem(({ leaf }) => leaf === 'communication_check', PATIENCE_MS, 'a check');
    await before.close(true);
    await passed(200);
    const at = momentOf(Date.now()).monotonic;
    const restartExpected = JSON.stringify({ reason: 'FirmwareUpdate', at, operationId: `o-${id}` });
    await storeOf(place).commit(storeOf(place).transaction().setStation('cs-1', { restartExpected }));
    await announce(place, [[id, 'Installed']], { at, settleMs: 0 });
    // More than the boot before may beat on, and what the clocks of two processes may differ by.
    await passed(6000);
    t.equal((await outbox()).length, 1, 'it waits for the boot');
    await bridge.publishAsync(`${place.topicPrefix}everest_api/1/system/cs-1/e2m/heartbeat`, '103', { qos: 2 });
    await awaitUntil(
      async () => (await outbox()).length === 0,
      PATIENCE_MS,
      'it is told on the word of the boot before',
    );
    const after = await station(t, place, { discovery: PERIODS });
    await begin(after);
    // It goes on to beat: one that falls silent is away before a busy gateway has come to telling it.
    after.startHeartbeats(200);
    await after.awaitStatus(id, 'Installed', PATIENCE_MS);
    await announce(place, [[1000 + id, 'Downloading']]);
    await after.awaitStatus(1000 + id, 'Downloading', PATIENCE_MS);
    await after.close(true);
    return withoutRepeats(after.statusNames(id));
  };
  t.same(await endAcrossBoot(bootQuestion), ['Installed'], 'begun by a question');
  t.same(await endAcrossBoot(() => undefined), ['Installed'], 'begun by a heartbeat');
});

void t.test('a status that no client listens for is held, though heartbeats are not missed yet', async (t) => {
  const place = await depot(t, servers);
  await leads(await startGateway(t, place));
  const slow = { ...PERIODS, heartbeat_period_ms: 60_000 };
  const everest = await station(t, place, { heartbeatMs: 60_000, discovery: slow });
  await everest.messages.awaitItem(({ leaf }) => leaf === 'communication_check', PATIENCE_MS, 'a check');
  await announce(place, [[1, 'Downloading']]);
  await everest.awaitStatus(1, 'Downloading', PATIENCE_MS);
  const outbox = () => storeOf(place).outboxEntries('cs-1');
  await awaitUntil(async () => (await outbox()).length === 0, PATIENCE_MS, 'what was told leaves the outbox');

  await everest.close(true);
  await announce(place, [[1, 'Downloaded']]);
  const heldFrom = performance.now();
  await awaitUntil(() => performance.now() - heldFrom > 1500, PATIENCE_MS, 'several tries');
  t.equal((await outbox()).length, 1, 'it is not told to nobody');
  const again = await station(t, place, { heartbeatMs: 60_000, discovery: slow });
  await again.awaitStatus(1, 'Downloaded', PATIENCE_MS);
  await awaitUntil(async () => (await outbox()).length === 0, PATIENCE_MS, 'what was told leaves the outbox');
  t.same(again.statusNames(1), ['Downloaded']);
});
