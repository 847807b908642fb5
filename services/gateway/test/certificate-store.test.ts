/** The leader asks the certificate store of a station's EVerest at the wish of a worker. */
import { awaitUntil } from '@khumbu/test-support/events';
import { connectAsync } from 'mqtt';
import t from 'tap';
import { readLeafAnswer } from '../src/mqtt/liveness/certificate-store.js';
import { depot, leads, startGateway } from './gateway-process.js';
import { setMqttStage } from './mqtt-stage.js';

const { broker, servers, storeOf } = await setMqttStage(t);

void t.test('of an answer its status counts', (t) => {
  const read = (text: string) => readLeafAnswer(Buffer.from(text));
  t.equal(read('{"status":"Accepted","info":{"key":"/k","certificate_count":1}}'), 'Accepted');
  t.equal(read(`{"status":"${'x'.repeat(500)}"}`), 'x'.repeat(64));
  for (const text of ['', 'true', '{}', '{"status":7}', '[]', 'null']) t.equal(read(text), undefined, text);
  t.end();
});

void t.test("a question of a worker is answered in the station's hash, without secrets", async (t) => {
  const evse_security = { module_id: 'certs' };
  const stations = {
    unknown_stations: 'simulated',
    stations: { 'cs-1': { driver: 'simulated', evse_security }, 'cs-2': { driver: 'simulated' } },
  };
  const place = await depot(t, servers, stations, '{station}/');
  const gateway = await startGateway(t, place);
  await leads(gateway);
  const store = storeOf(place);
  const home = place.topicPrefix.replace('{station}', 'cs-1');
  const everest = await connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => everest.endAsync(true));
  const topic = `${home}everest_api/1/evse_security_consumer/certs/m2e/get_leaf_certificate_info`;
  const asked: unknown[] = [];
  let answers = (_leaf: string): readonly (readonly [string, object])[] => [];
  everest.on('message', (_topic, bytes) => {
    const { headers, payload } = JSON.parse(bytes.toString()) as {
      headers: { replyTo: string };
      payload: { certificate_type: string };
    };
    asked.push(payload);
    for (const [from, answer] of answers(payload.certificate_type))
      everest.publish(`${from}${headers.replyTo}`, JSON.stringify(answer), { qos: 1 });
  });
  await everest.subscribeAsync(topic, { qos: 0 });
  const ask = async (question: string, station = 'cs-1') =>
    void (await store.commit(store.transaction().askCertificateStore(station, question)));
  const stored = async (station = 'cs-1') => JSON.parse((await store.station(station)).certificateStore ?? '{}');
  type Answered = { readonly question?: string; readonly at: number; readonly answers: Record<string, string> };
  /** What is stored of it; of a question that a lost session has taken with it, nothing. */
  const answered = (question: string): Promise<Answered> => {
    const until = performance.now() + 10_000;
    return awaitUntil(
      async () => {
        const found = (await stored()) as Answered;
        if (found.question === question) return found;
        return performance.now() > until ? { at: 0, answers: {} } : undefined;
      },
      10_000,
      question,
    );
  };
  const countOfAsked: number[] = [];
  /**
   * The answers to a question that got those of the leaves `of`. It is this process that answers: where it stands still for as long
   * as the gateway waits, another question is asked, as a worker does.
   */
  const completeAnswers = (name: string, of: readonly string[]) => {
    let tries = 0;
    const askOnce = async () => {
      const question = `${name}-${++tries}`;
      await ask(question);
      const { answers: found, at } = await answered(question);
      const isComplete = of.every((leaf) => leaf in found);
      if (isComplete) {
        await awaitUntil(() => asked.length >= 2, 30_000, 'both leaves to be asked for');
        countOfAsked.push(asked.length);
      }
      const questions = asked.splice(0);
      return isComplete && { answers: found, at, questions };
    };
    return awaitUntil(askOnce, 60_000, `all answers to the ${name} question`);
  };

  const info = { key: '/certs/csms.key', certificate_count: 1, password: 'the-secret-of-a-key' };
  answers = (leaf) => [[home, leaf === 'CSMS' ? { status: 'Accepted', info } : { status: 'NotFound' }]];
  const first = await completeAnswers('first', ['CSMS', 'V2G']);
  t.match(first, { answers: { CSMS: 'Accepted', V2G: 'NotFound' }, at: Number });
  t.same(
    first.questions.sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b))),
    ['CSMS', 'V2G'].map((certificate_type) => ({ certificate_type, encoding: 'PEM', include_ocsp: false })),
  );
  t.notMatch(JSON.stringify(await store.station('cs-1')), /the-secret|csms\.key/);

  const other = place.topicPrefix.replace('{station}', 'cs-2');
  answers = (leaf) => [
    [other, { status: 'Accepted' }],
    [home, leaf === 'CSMS' ? { nothing: 'useful' } : { status: 'Accepted' }],
  ];
  const second = await completeAnswers('second', ['V2G']);
  t.same(second.answers, { V2G: 'Accepted' }, 'nobody answers for another station');

  await ask('third', 'cs-2');
  answers = () => [[home, { status: 'Accepted' }]];
  const fourth = await completeAnswers('fourth', ['CSMS', 'V2G']);
  t.match(fourth, { answers: { CSMS: 'Accepted', V2G: 'Accepted' } });
  t.same(await stored('cs-2'), {}, 'a station that does not name its module is not asked');
  t.same([countOfAsked, asked], [[2, 2, 2], []]);
  t.notMatch(gateway.child.output(), /the-secret-of-a-key/);
});

void t.test('without a prefix per station, stations that share an id are not asked', async (t) => {
  const driver = 'simulated';
  const stations = Object.fromEntries(
    [
      ['cs-1', 'certs'],
      ['cs-2', 'certs'],
      ['cs-3', 'other'],
    ].map(([station = '', module_id]) => [station, { driver, evse_security: { module_id } }]),
  );
  const place = await depot(t, servers, { stations });
  const gateway = await startGateway(t, place);
  await leads(gateway);
  const store = storeOf(place);
  for (const station of ['cs-1', 'cs-2', 'cs-3'])
    await store.commit(store.transaction().askCertificateStore(station, 'a-question'));
  const stored = async (station: string) => (await store.station(station)).certificateStore;
  await awaitUntil(() => stored('cs-3'), 30_000, 'the one that is asked to be silent');
  t.match(JSON.parse((await stored('cs-3')) ?? ''), { question: 'a-question', answers: {} });
  t.same([await stored('cs-1'), await stored('cs-2')], [undefined, undefined]);
  t.match(gateway.child.output(), /neither is asked/);
  t.same(
    await Promise.all(['cs-1', 'cs-2'].map(async (station) => (await store.station(station)).certificateStoreUnasked)),
    ['a-question', 'a-question'],
    'who asked is told so',
  );
});
