import { requestFrame } from '@khumbu/shared/contract/everest-frames';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil, collector } from '@khumbu/test-support/events';
import { connectAsync } from 'mqtt';
import t from 'tap';
import { depot, type Gateway, leads, startGateway } from './gateway-process.js';
import { PERIODS, said, setMqttStage } from './mqtt-stage.js';

const { announce, broker, fallSilent, observer, servers, station, storeOf } = await setMqttStage(t);

/** What a gateway loses a connection by, or cannot make one, when it or Redis or the broker stands still. */
const STOOD_STILL = /Command timed out|connack timeout|^a gateway that is \w+ does not \w+$/;

/** Why a gateway had no connection to the broker, but for those that a busy machine has. */
const brokenConnections = ({ child }: Gateway): unknown[] =>
  child
    .stdout()
    .split('\n')
    .filter((line) => line.includes('no connection to the broker'))
    .map((line) => (JSON.parse(line) as { reason?: unknown }).reason)
    .filter((reason) => !STOOD_STILL.test(String(reason)));

void t.test('bad messages in the backlog do not keep the next leader out', async (t) => {
  const place = await depot(t, servers);
  const first = await startGateway(t, place);
  await leads(first);
  const everest = await station(t, place);
  await everest.request('get_boot_reason');
  await first.child.end('SIGKILL');
  const home = 'everest_api/1/system/cs-1/m2e/reply';
  // They come in one piece with the broker's word that it takes the connection.
  for (let n = 0; n < 50; n++) await everest.publishRaw('is_reset_allowed', requestFrame(`${home}/bad-${n}`, 'soft'));
  const next = await startGateway(t, place);
  await leads(next);
  // One that comes again to a leader that was replaced is answered again.
  const answers = () =>
    new Set(everest.messages.items.map(({ leaf }) => leaf).filter((leaf) => leaf.startsWith('reply/bad-')));
  await awaitUntil(() => answers().size >= 50, 5000, 'an answer to each');
  t.equal(answers().size, 50, 'each of its own');
  t.equal((await askUntilDecided('get_boot_reason', () => everest.request('get_boot_reason'))).reply, 'PowerUp');
  t.same(brokenConnections(next), []);
});

void t.test('names nobody vouches for do not pile up', async (t) => {
  const place = await depot(t, servers, { stations: { 'cs-1': { driver: 'simulated' } } });
  const gateway = await startGateway(t, place, { MAX_UNKNOWN_STATIONS: '5' });
  await leads(gateway);
  const client = await connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => client.endAsync(true));
  const replies = collector<string>();
  client.on('message', (topic, payload) => replies.push(`${topic} ${payload.toString()}`));
  await client.subscribeAsync(`${place.topicPrefix}everest_api/1/system/+/m2e/reply/+`);
  const names = Array.from({ length: 40 }, (_, n) => `wild-${n}`);
  for (const name of names) {
    const to = `everest_api/1/system/${name}/m2e/reply/x`;
    const topic = `${place.topicPrefix}everest_api/1/system/${name}/e2m/is_reset_allowed`;
    await client.publishAsync(topic, requestFrame(to, 'Soft'), { qos: 2 });
  }
  await replies.awaitAll((all) => all.length >= names.length, 5000, 'an answer for each');
  t.ok(replies.items.every((text) => text.endsWith(' false')));
  const everest = await station(t, place);
  // Until it is: a gateway that has not heard from Redis for a moment gives the default at once.
  await awaitUntil(
    async () => (await everest.request('is_reset_allowed', 'Soft')).reply === true,
    60_000,
    'who is configured to have a place',
  );
  await awaitUntil(
    async () => (await observer.scard(`${place.name}:stations`)) === 6,
    5000,
    'those listed to be stored',
  );
  t.equal((await observer.keys(`${place.name}:station:*`)).length, 6);
  t.same(await observer.keys(`${place.name}:answer:wild-*`), [], 'nor are answers to them');
  t.match(await fetch(`${gateway.url}/metrics`).then((r) => r.text()), /khumbu_unknown_stations 5/);
});

void t.test('what is no topic is not published on', async (t) => {
  const place = await depot(t, servers, undefined, '{station}/');
  const gateway = await startGateway(t, place);
  await leads(gateway);
  const own = place.topicPrefix.replace('{station}', 'cs-1');
  const everest = await station(t, { ...place, topicPrefix: own });
  const spy = await connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => spy.endAsync(true));
  const questions = collector<string>();
  spy.on('message', (_topic, payload) => questions.push(payload.toString()));
  await spy.subscribeAsync(`${own}everest_api/query-modules/system`);
  await everest.request('get_boot_reason');
  const question = await questions.awaitItem(() => true, 5000, 'a question');
  const { headers } = JSON.parse(question) as { headers: { replyTo: string } };
  const apis = ['#', 'a/b', '\ufffe', '\ud800', ''].map((module_id) => ({ type: 'system', module_id, version: 1 }));
  await spy.publishAsync(`${own}${headers.replyTo}`, JSON.stringify({ apis }), { qos: 1 });
  await said(gateway, 'a module id that is no topic level');
  for (const tail of ['\ufffe', '\udbff', '\u0085']) {
    const to = `everest_api/1/system/cs-1/m2e/reply/${tail}`;
    await everest.publishRaw('is_reset_allowed', requestFrame(to, 'Soft'));
    await everest.publishRaw('is_reset_allowed', requestFrame(to, 'wrong'));
  }
  await everest.publishRaw('heartbeat', '0');
  await everest.messages.awaitItem(({ leaf }) => leaf === 'communication_check', 5000, 'a check under its own name');
  t.equal((await askUntilDecided('get_boot_reason', () => everest.request('get_boot_reason'))).reply, 'PowerUp');
  t.notMatch(gateway.child.stdout(), /connection to the broker lost/);
});

void t.test('a station speaks for itself alone, and only when asked', async (t) => {
  const place = await depot(t, servers, undefined, '{station}/');
  await leads(await startGateway(t, place));
  const below = (name: string) => ({ ...place, topicPrefix: place.topicPrefix.replace('{station}', name) });
  const [one, two] = [await station(t, below('one')), await station(t, below('two'))];
  await Promise.all([one.request('get_boot_reason'), two.request('get_boot_reason')]);
  const liar = await connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => liar.endAsync(true));
  for (const from of ['one', 'two'])
    await liar.publishAsync(
      `${below(from).topicPrefix}everest_api/khumbu/discovered/latched-connection_status-two`,
      JSON.stringify({ connected: true, ocpp_version: '1.6' }),
      { qos: 1 },
    );
  await two.request('get_boot_reason');
  await awaitUntil(async () => (await storeOf(place).station('two')).lastSeenAt !== undefined, 5000, 'a flush');
  t.equal((await storeOf(place).station('two')).learnedDialect, undefined);
});

void t.test('a request that cannot be read does not bring a station back', async (t) => {
  const place = await depot(t, servers);
  await leads(await startGateway(t, place));
  const everest = await station(t, place, { heartbeatMs: 200, discovery: PERIODS });
  await everest.request('get_boot_reason');
  await everest.messages.awaitItem(({ leaf }) => leaf === 'communication_check', 5000, 'a check');
  await fallSilent(place, everest, 1_000_000);
  await announce(place, [[3, 'Downloading']]);
  for (const leaf of ['update_firmware', 'is_reset_allowed', 'upload_logs']) await everest.publishRaw(leaf, 'not JSON');
  const { reply } = await everest.request('configure_network', { request_id: 1, interface: 'Wired0' });
  t.same(reply, { status: 'NotSupported' }, 'all of it was heard, and this proves no OCPP side');
  t.same(everest.statusNames(3), []);
  t.equal((await storeOf(place).outboxEntries('cs-1')).length, 1, 'held');
});
