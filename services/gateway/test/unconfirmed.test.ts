/** The connection ends with an answer on its way: the station may have heard that it was accepted, and nobody knows. */

import { connect, createServer, type Socket } from 'node:net';
import { keysFor } from '@khumbu/operations/records/keys';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { awaitUntil } from '@khumbu/test-support/events';
import { withoutRepeats } from '@khumbu/test-support/statuses';
import t, { type Test } from 'tap';
import { type Depot, depot, leads, startGateway } from './gateway-process.js';
import { PERIODS, said, setMqttStage } from './mqtt-stage.js';

const { broker, observer, servers, station, storeOf } = await setMqttStage(t);

/** Longer than an offer waits to be confirmed. */
const OFFER_OVER_MS = 40_000;
const EXPIRY_S = 2;

/** Between a gateway and the broker. Once the gateway has sent `cue`, nothing comes back to it any more. */
async function relay(test: Test, brokerUrl: string) {
  const sockets = new Set<Socket>();
  const target = new URL(brokerUrl);
  let cue: string | undefined;
  let isMuted = false;
  let isOpen = true;
  const server = createServer((near) => {
    if (!isOpen) {
      near.destroy();
      return;
    }
    const far = connect(Number(target.port), target.hostname);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    near.on('data', (chunk) => {
      if (cue !== undefined && chunk.includes(cue)) isMuted = true;
      far.write(chunk);
    });
    far.on('data', (chunk) => {
      if (!isMuted) near.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  test.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    url: `mqtt://127.0.0.1:${(server.address() as { port: number }).port}`,
    muteAfter: (text: string): void => {
      cue = text;
    },
    isMuted: (): boolean => isMuted,
    cut(): void {
      isOpen = false;
      for (const socket of sockets) socket.destroy();
    },
    mend(): void {
      isOpen = true;
      isMuted = false;
      cue = undefined;
    },
  };
}

const UPDATE = { request_id: 7, location: 'https://files.example/image.bin' };

/** A station has heard that its update is accepted; its gateway has not heard that it did, and is cut off. */
async function acceptedUnheard(test: Test, env: Record<string, string> = {}, periods = PERIODS) {
  const place = await depot(test, servers);
  const line = await relay(test, broker.url);
  const gateway = await startGateway(test, { ...place, mqttUrl: line.url }, env);
  await leads(gateway);
  const everest = await station(test, place, { heartbeatMs: 200, discovery: periods });
  await everest.messages.awaitItem(({ leaf }) => leaf === 'communication_check', 3000, 'a check');
  const known = () => observer.hexists(keysFor(place.name).station('cs-1'), 'communication');
  await awaitUntil(async () => (await known()) === 1, 5000, 'its periods to be stored');
  line.muteAfter('"Accepted"');
  test.equal(
    (await askUntilDecided('update_firmware', () => everest.request('update_firmware', UPDATE))).reply,
    'Accepted',
  );
  test.ok(line.isMuted());
  line.cut();
  return { place, line, gateway, everest };
}

/** Without those that a busy machine had no time for: they were answered by default, and withdrawn. */
const updatesOf = async (place: Depot) =>
  (await storeOf(place).operationsOf('cs-1')).filter(({ state }) => state !== 'Withdrawn');

void t.test('an accepted request of which nobody knows any more ends with a failure that is told', async (t) => {
  const { place, line, gateway, everest } = await acceptedUnheard(t, { MQTT_SESSION_EXPIRY_S: String(EXPIRY_S) });
  const openOnes = async () => storeOf(place).loadMany(await storeOf(place).openIds());
  await awaitUntil(async () => (await openOnes())[0]?.answerSent === true, 5000, 'it to be noted');
  t.match(await openOnes(), [{ state: 'Offered', requestId: 7 }], 'nothing has begun');

  const cutAt = performance.now();
  await awaitUntil(() => performance.now() - cutAt > (EXPIRY_S + 2) * 1000, 10_000, 'the broker to forget the request');
  line.mend();
  await leads(gateway);
  t.match(await openOnes(), [{ state: 'Offered' }], 'it may still be confirmed');
  await observer.incrby(keysFor(place.name).clock, OFFER_OVER_MS);
  await everest.awaitStatus(7, 'DownloadFailed', 10_000);
  await said(gateway, 'offer failed: nobody knows whether it was heard');
  t.same(withoutRepeats(everest.statusNames(7)), ['DownloadFailed']);
  t.same(await openOnes(), []);
  const again = { ...UPDATE, request_id: 8 };
  t.equal(
    (await askUntilDecided('update_firmware', () => everest.request('update_firmware', again))).reply,
    'Accepted',
    'the station is free for another',
  );
});

void t.test('one that comes again is confirmed after all', async (t) => {
  const { place, line } = await acceptedUnheard(t);
  const [offered] = await updatesOf(place);
  t.equal(offered?.state, 'Offered');
  line.mend();
  const confirmed = async () => (await updatesOf(place))[0]?.state === 'Accepted';
  await awaitUntil(confirmed, 10_000, 'it to be confirmed');
  t.equal((await updatesOf(place)).length, 1);
});

void t.test(
  'what a killed leader has answered stands, however little time its station gives for an answer',
  async (t) => {
    const soonGivenUp = { ...PERIODS, request_reply_timeout_s: 2 };
    const { place, gateway, everest } = await acceptedUnheard(t, {}, soonGivenUp);
    const stationKey = keysFor(place.name).station('cs-1');
    t.match(await observer.hget(stationKey, 'communication'), '"request_reply_timeout_s":2', 'the next one will know');
    await gateway.child.end('SIGKILL');
    const next = await startGateway(t, place);
    await leads(next);
    const updates = async () => (await updatesOf(place)).map(({ state }) => state);
    await awaitUntil(async () => (await updates())[0] === 'Accepted', 10_000, 'it to be confirmed');
    const second = { ...UPDATE, request_id: 8 };
    const answer = await askUntilDecided('update_firmware', () => everest.request('update_firmware', second));
    t.equal(answer.reply, 'AcceptedCanceled');
    const accepted = everest.messages.items.find(({ text }) => text === '"Accepted"')?.leaf;
    t.ok(accepted);
    for (const { leaf, text } of everest.messages.items)
      if (leaf === accepted) t.equal(text, '"Accepted"', 'the same request is never answered otherwise');
    t.strictSame((await updates()).length, 2, 'each request is one operation');
  },
);
