import { readStationState } from '@khumbu/operations/stations/station-state';
import { awaitUntil } from '@khumbu/test-support/events';
import { connectAsync } from 'mqtt';
import t from 'tap';
import { knownBefore } from '../src/mqtt/liveness/stored-fields.js';
import { transactionsAfter } from '../src/mqtt/liveness/transactions.js';
import { depot, leads, startGateway } from './gateway-process.js';
import { setMqttStage } from './mqtt-stage.js';

const { broker, servers, station, storeOf } = await setMqttStage(t);

void t.test('which sessions have a transaction', (t) => {
  const after = (running: readonly string[] | undefined, transaction_event: string, session_id: string) =>
    transactionsAfter(running, { transaction_event, session_id });
  const cases: readonly (readonly [readonly string[] | undefined, string, string, readonly string[] | undefined])[] = [
    [undefined, 'Started', 'a', ['a']],
    [['a'], 'Started', 'b', ['a', 'b']],
    [undefined, 'Updated', 'a', ['a']],
    [['a', 'b'], 'Ended', 'a', ['b']],
    [['a'], 'Ended', 'a', []],
    [undefined, 'Ended', 'a', []],
    [undefined, 'Something', 'a', undefined],
    [undefined, 'Started', 'x'.repeat(500), ['x'.repeat(128)]],
    [['x'.repeat(128)], 'Ended', 'x'.repeat(500), []],
  ];
  for (const [running, event, session, expected] of cases) t.same(after(running, event, session), expected, event);
  const same = ['a'];
  for (const [event, session] of [
    ['Started', 'a'],
    ['Updated', 'a'],
    ['Ended', 'b'],
  ] as const)
    t.equal(after(same, event, session), same, `${event} ${session} changes nothing`);
  let many: readonly string[] | undefined;
  for (let n = 0; n < 200; n++) many = after(many, 'Started', `s-${n}`);
  t.same([many?.length, many?.at(-1)], [64, 's-199']);
  t.end();
});

void t.test('the next leader knows them', (t) => {
  t.same(knownBefore(readStationState({ transactions: '["one"]' })).transactions, ['one']);
  t.notOk('transactions' in knownBefore(readStationState({})));
  t.end();
});

void t.test('transactions are known from what ocpp_consumer_API tells, and end with the boot', async (t) => {
  const place = await depot(t, servers, undefined, '{station}/');
  await leads(await startGateway(t, place));
  const own = { ...place, topicPrefix: place.topicPrefix.replace('{station}', 'cs-1') };
  const everest = await station(t, own);
  await everest.request('get_boot_reason');
  const consumer = await connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => consumer.endAsync(true));
  const tell = (event: unknown) =>
    consumer.publishAsync(
      `${own.topicPrefix}everest_api/1/ocpp_consumer/ocpp/e2m/ocpp_transaction_event`,
      JSON.stringify(event),
      { qos: 1 },
    );
  const known = async () => (await storeOf(place).station('cs-1')).transactions;
  const becomes = (text: string) => awaitUntil(async () => (await known()) === text, 30_000, text);

  await everest.publishRaw('heartbeat', '7');
  await tell({ transaction_event: 'Started', session_id: 'one', evse: { id: 1 } });
  await becomes('["one"]');
  await tell({ transaction_event: 'Started', session_id: 'two' });
  await tell({ transaction_event: 'Ended', session_id: 7 });
  await tell({ transaction_event: 'Ended', session_id: 'one', transaction_id: '12' });
  await becomes('["two"]');

  await everest.publishRaw('heartbeat', '0');
  await becomes('[]');
});
