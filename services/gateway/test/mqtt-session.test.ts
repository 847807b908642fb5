import { once } from 'node:events';
import { createServer, Socket, connect as tcpConnect } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { awaitUntil, collector, within } from '@khumbu/test-support/events';
import { startMosquitto } from '@khumbu/test-support/mosquitto';
import { connectAsync } from 'mqtt';
import t, { type Test } from 'tap';
import type { Inbound, Incoming } from '../src/mqtt/session/incoming.js';
import { createMqttSession, type MqttSession, type MqttSessionOptions } from '../src/mqtt/session/mqtt-session.js';

const broker = await startMosquitto({ dir: t.testdir() });
t.teardown(() => broker.stop());
const publisher = await connectAsync(broker.url, { protocolVersion: 5 });
t.teardown(() => publisher.endAsync(true));
let clients = 0;
const newClientId = (): string => `gateway-${++clients}`;

interface Opened extends MqttSession {
  readonly sessionPresent: boolean;
}

async function open(test: Test, options: Partial<MqttSessionOptions & Inbound> = {}): Promise<Opened> {
  const { classify, onMessage = () => undefined, ...more } = options;
  const session = createMqttSession({
    url: broker.url,
    clientId: newClientId(),
    sessionExpiryS: 300,
    keepAliveS: 5,
    connectTimeoutMs: 20_000,
    standing: () => 'leading',
    ...more,
  });
  const { sessionPresent } = await session.connect({ onMessage, ...(classify ? { classify } : {}) });
  test.teardown(() => session.end());
  return { ...session, sessionPresent };
}

/** Messages that are worked on until they are let go by their text. */
function slowWork() {
  const arrived = collector<Incoming>((message) => Buffer.from(message.payload).toString());
  const open = new Map<string, () => void>();
  return {
    arrived,
    texts: () => arrived.items.map(({ payload }) => Buffer.from(payload).toString()),
    onMessage: (message: Incoming) => {
      arrived.push(message);
      return new Promise<void>((resolve) => open.set(Buffer.from(message.payload).toString(), resolve));
    },
    finish(text: string): void {
      open.get(text)?.();
      open.delete(text);
    },
    finishAll(): void {
      for (const text of Array.from(open.keys())) this.finish(text);
    },
    come: (count: number) => arrived.awaitAll((all) => all.length >= count, 5000, `${count} messages`),
  };
}

/** A wire between client and broker that shows what the client sends, and can be cut. */
async function tap(test: Test) {
  const sent: Buffer[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((down) => {
    const up = tcpConnect(broker.port, '127.0.0.1');
    for (const socket of [down, up]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
    }
    down.on('data', (bytes) => sent.push(Buffer.from(bytes)));
    down.pipe(up);
    up.pipe(down);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  test.teardown(() => {
    cut();
    server.close();
  });
  const { port } = server.address() as { port: number };
  /** Packet ids of the PUBACKs so far; MQTT 5, 3.4. */
  const acknowledged = (): number[] => {
    const bytes = Buffer.concat(sent);
    const ids: number[] = [];
    for (let at = 0; at + 1 < bytes.length; ) {
      let length = 0;
      let digits = 0;
      let digit: number;
      do {
        digit = bytes[at + 1 + digits] ?? 0;
        length += (digit & 0x7f) * 128 ** digits;
        digits += 1;
      } while (digit > 127);
      if ((bytes[at] ?? 0) >> 4 === 4) ids.push(bytes.readUInt16BE(at + 1 + digits));
      at += 1 + digits + length;
    }
    return ids;
  };
  return { url: `mqtt://127.0.0.1:${port}`, cut, acknowledged };
}

void t.test('acknowledged when the work is done, in the order of arrival', async (t) => {
  const wire = await tap(t);
  const work = slowWork();
  const session = await open(t, { url: wire.url, onMessage: work.onMessage });
  t.notOk(session.sessionPresent);
  await session.subscribe({ 'late/+': 1 });
  for (const text of ['a', 'b', 'c']) await publisher.publishAsync('late/x', text, { qos: 1 });
  await work.come(3);
  t.same(wire.acknowledged(), [], 'nothing before the work is done');
  work.finish('c');
  work.finish('b');
  await session.publish('late/echo', 'sent after both', 1);
  t.same(wire.acknowledged(), [], 'nothing before the first is done');
  work.finish('a');
  const ids = await awaitUntil(() => wire.acknowledged().length === 3 && wire.acknowledged(), 2000, 'three');
  t.same(
    ids,
    [...ids].sort((x, y) => x - y),
  );
  work.finishAll();
});

void t.test('what steps aside keeps nobody behind it from being acknowledged, and is not lost', async (t) => {
  const wire = await tap(t);
  const work = slowWork();
  const clientId = newClientId();
  const session = await open(t, { url: wire.url, clientId, onMessage: work.onMessage });
  await session.subscribe({ 'aside/#': 1 });
  for (const text of ['one', 'two', 'three', 'four']) await publisher.publishAsync('aside/a', text, { qos: 1 });
  await work.come(4);
  work.finish('two');
  for (const index of [0, 2]) work.arrived.items[index]?.stepAside?.();
  await awaitUntil(() => wire.acknowledged().length === 1, 2000, 'the second');
  work.finish('four');
  work.finish('three');
  await awaitUntil(() => wire.acknowledged().length === 3, 2000, 'the others');
  t.same(wire.acknowledged(), [2, 4, 3], 'not the first');
  wire.cut();
  await session.closed;
  const next = slowWork();
  await open(t, { clientId, onMessage: next.onMessage });
  await next.come(1);
  t.match(next.arrived.items, [{ dup: true }]);
  t.same(next.texts(), ['one']);
  next.finishAll();
});

void t.test('what was not acknowledged comes again to the next session, marked', async (t) => {
  const wire = await tap(t);
  const clientId = newClientId();
  const first = slowWork();
  const session = await open(t, { url: wire.url, clientId, onMessage: first.onMessage });
  await session.subscribe({ 'again/+': 1 });
  for (const text of ['a', 'b', 'c']) await publisher.publishAsync('again/x', text, { qos: 1 });
  await first.come(3);
  first.finish('a');
  first.finish('c');
  await awaitUntil(() => wire.acknowledged().length === 1, 2000, 'the first acknowledgement');
  wire.cut();
  await within(session.closed, 2000, 'the end');
  await publisher.publishAsync('again/x', 'while nobody was there', { qos: 1 });
  const second = slowWork();
  const next = await open(t, { clientId, onMessage: second.onMessage });
  t.ok(next.sessionPresent);
  const came = await second.come(3);
  t.same(second.texts(), ['b', 'c', 'while nobody was there']);
  t.same(
    came.map(({ dup }) => dup),
    [true, true, false],
  );
  second.finishAll();
});

void t.test('work that fails leaves its message to the next session', async (t) => {
  const clientId = newClientId();
  const session = await open(t, { clientId, onMessage: () => Promise.reject(new Error('the session is over')) });
  await session.subscribe({ 'failed/+': 1 });
  await publisher.publishAsync('failed/x', 'a', { qos: 1 });
  await publisher.publishAsync('failed/x', 'b', { qos: 1 });
  await within(session.closed, 2000, 'a session that cannot go on ends');
  const second = slowWork();
  await open(t, { clientId, onMessage: second.onMessage });
  await second.come(2);
  t.same(second.texts(), ['a', 'b']);
  second.finishAll();
});

void t.test('the next session with the same client id ends this one', async (t) => {
  const clientId = newClientId();
  const first = await open(t, { clientId });
  await first.subscribe({ 'taken/+': 1 });
  const work = slowWork();
  const second = await open(t, { clientId, onMessage: work.onMessage });
  t.match(await within(first.closed, 2000, 'the end of the first'), /./);
  await t.rejects(first.publish('taken/x', 'late', 1), { code: 'MQTT_CLOSED' });
  await t.rejects(first.subscribe({ 'taken/y': 1 }), { code: 'MQTT_CLOSED' });
  await second.publish('taken/x', 'mine', 1);
  await work.come(1);
  t.same(work.texts(), ['mine'], 'subscriptions are kept with the session');
  work.finishAll();
  await second.end();
  await second.end();
  await t.rejects(second.publish('taken/x', 'late', 0), { code: 'MQTT_CLOSED' });
});

void t.test('who may not publish does not', async (t) => {
  let may = true;
  const work = slowWork();
  const clientId = newClientId();
  const session = await open(t, { clientId, onMessage: work.onMessage, standing: () => (may ? 'leading' : 'standby') });
  await session.subscribe({ 'may/+': 1 });
  await session.publish('may/x', 'yes', 1);
  may = false;
  await t.rejects(session.publish('may/x', 'no', 1), { code: 'MQTT_CLOSED' });
  may = true;
  await session.publish('may/x', 'again', 1);
  await work.come(2);
  t.same(work.texts(), ['yes', 'again']);
  may = false;
  work.finish('yes');
  await within(session.closed, 2000, 'nor acknowledges: the session ends');
  const second = slowWork();
  await open(t, { clientId, onMessage: second.onMessage });
  await second.come(2);
  t.same(second.texts(), ['yes', 'again']);
  second.finishAll();
});

void t.test('who may only refuse says nothing else, and acknowledges what is done', async (t) => {
  let leads = true;
  const clientId = newClientId();
  const refused: string[] = [];
  const work = slowWork();
  const session = await open(t, {
    clientId,
    standing: () => (leads ? 'leading' : 'refusing'),
    onMessage: async (message) => {
      if (message.payload.toString() !== 'refused') return work.onMessage(message);
      message.acknowledge?.();
      refused.push(message.topic);
    },
  });
  await session.subscribe({ 'refuse/+': 1 });
  await publisher.publishAsync('refuse/x', 'waits', { qos: 1 });
  await work.come(1);
  leads = false;
  await t.rejects(session.publish('other/x', 'a status', 1), { code: 'NOT_LEADING' });
  await session.publish('other/x', 'a default', 1, 'refuse');
  await publisher.publishAsync('refuse/x', 'refused', { qos: 1 });
  await awaitUntil(() => refused.length === 1, 2000, 'the refusal');
  // An acknowledgement of ours is behind that of the refused message.
  await session.publish('other/x', 'another default', 1, 'refuse');
  const second = slowWork();
  await open(t, { clientId, onMessage: second.onMessage });
  await second.come(1);
  t.same(second.texts(), ['waits'], 'what was refused does not come again, although an older one is open');
  second.finishAll();
  work.finishAll();
});

void t.test('many open messages: the broker waits, and our own publishes still go through', async (t) => {
  const work = slowWork();
  const session = await open(t, { onMessage: work.onMessage });
  await session.subscribe({ 'many/+': 1 });
  const count = 1200;
  await Promise.all(
    Array.from({ length: count }, (_, index) => publisher.publishAsync('many/x', String(index), { qos: 1 })),
  );
  await work.come(512);
  await within(session.publish('other/x', 'an answer', 1), 2000, 'an acknowledgement while all places are taken');
  t.equal(work.arrived.items.length, 512);
  while (work.arrived.items.length < count) {
    const before = work.arrived.items.length;
    work.finishAll();
    await work.come(Math.min(count, before + 1));
  }
  t.same(
    work.texts(),
    Array.from({ length: count }, (_, index) => String(index)),
  );
  work.finishAll();
});

void t.test('what is retained is not for us, and a packet too long stays at the broker', async (t) => {
  await publisher.publishAsync('kept/x', 'retained', { qos: 1, retain: true });
  const work = slowWork();
  const session = await open(t, { onMessage: work.onMessage });
  await session.subscribe({ 'kept/+': 1 });
  await publisher.publishAsync('kept/x', Buffer.alloc(500_000), { qos: 1 });
  await publisher.publishAsync('kept/x', 'fresh', { qos: 1 });
  await work.come(1);
  t.same(work.texts(), ['fresh']);
  work.finishAll();
  await t.rejects(session.publish('kept/#', '', 1), { code: 'MQTT_BAD_TOPIC' });
  await t.rejects(session.publish('kept/\ufffe', '', 1), { code: 'MQTT_BAD_TOPIC' });
  await session.publish('kept/on', 'and goes on', 1);
});

void t.test('messages nobody has to acknowledge take turns too, and cannot end the process', async (t) => {
  const session = await open(t, { onMessage: () => Promise.reject(new Error('over')) });
  await session.subscribe({ 'loose/+': 1 });
  await publisher.publishAsync('loose/x', 'a', { qos: 0 });
  await within(session.closed, 5000, 'the session to end');
});

void t.test('what is dropped is acknowledged and not worked on', async (t) => {
  const work = slowWork();
  const session = await open(t, {
    onMessage: work.onMessage,
    classify: ({ topic }) => ({ sender: topic, how: topic.endsWith('flood') ? 'drop' : 'serve' }),
  });
  await session.subscribe({ 'sorted/+': 1 });
  await Promise.all(Array.from({ length: 1500 }, () => publisher.publishAsync('sorted/flood', 'x', { qos: 1 })));
  await publisher.publishAsync('sorted/other', 'served', { qos: 1 });
  await work.come(1);
  t.same(work.texts(), ['served']);
  work.finishAll();
});

void t.test('small packets are sent at once', async (t) => {
  const calls = t.capture(Socket.prototype, 'setNoDelay', () => undefined);
  await open(t);
  t.same(
    calls().map(({ args }) => args),
    [[true]],
  );
});

void t.test('a publish leaves nothing behind, however long the session lives', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const session = await open(t);
  const publishMany = async (): Promise<void> => {
    for (let n = 0; n < 200; n++)
      await Promise.all(Array.from({ length: 100 }, () => session.publish('told/to/nobody', 'true', 0)));
  };
  await publishMany();
  collect();
  const before = process.memoryUsage().heapUsed;
  await publishMany();
  collect();
  const bytesEach = (process.memoryUsage().heapUsed - before) / 20_000;
  t.ok(bytesEach < 50, `${bytesEach.toFixed(0)} bytes are kept of each publish`);
});

void t.test('nobody there, or somebody who refuses', async (t) => {
  const silent = createServer(() => undefined);
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as { port: number };
  t.teardown(() => silent.close());
  const url = `mqtt://user:secret@127.0.0.1:${port}`;
  const error = await open(t, { url, connectTimeoutMs: 200 }).catch((failure: unknown) => failure);
  t.match(error, { code: 'MQTT_UNREACHABLE' });
  t.notMatch(String(error), /secret/);
  silent.close();
  await t.rejects(open(t, { url: 'mqtt://127.0.0.1:1' }), { code: 'MQTT_UNREACHABLE' });
});
