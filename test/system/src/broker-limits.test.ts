/**
 * What a station that has turned hostile can do to the depot's broker, with the files of `infra/mosquitto`: it can take
 * no client id of others, keep nothing there, receive nothing of others, and fill neither the memory nor the connections.
 */
import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { awaitUntil, nextEvent, within } from '@khumbu/test-support/events';
import type { IClientOptions, MqttClient } from 'mqtt';
import t from 'tap';
import { ears, makeSecrets, startDepotBroker } from './depot-broker.js';

const PATIENCE_MS = 30_000;
const dir = t.testdir({});
const secrets = await makeSecrets(dir);
for (const station of ['cp1', 'cp2']) await secrets.script('station.sh', 'add', station);
const broker = await startDepotBroker(t, { dir, secrets });

const gateway = await broker.enter('khumbu-gateway', { clientId: 'khumbu-khumbu', keepalive: 5 }, broker.gatewayUrl);
const gatewayHears = await ears(gateway, 'depot/+/everest_api/#');
const V3: IClientOptions = { protocolVersion: 4 };
const home = (station: string): string => `depot/${station}/everest_api/1/system/main`;
const barriers = { count: 0 };

/** Everything the broker has for a station by now has arrived. */
async function barrier(client: MqttClient, station: string): Promise<void> {
  const topic = `${home(station)}/m2e/reply/barrier-${barriers.count++}`;
  const heard = nextEvent(client, 'message', PATIENCE_MS, (on) => on === topic);
  await gateway.publishAsync(topic, '1', { qos: 1 });
  await heard;
}
/** The broker has closed the connection; resolves with the reason of MQTT 5, if it gave one. */
async function thrownOut(client: MqttClient, act: () => void): Promise<number | undefined> {
  let reason: number | undefined;
  client.once('disconnect', (packet) => {
    reason = packet.reasonCode;
  });
  const closed = nextEvent(client, 'close', PATIENCE_MS);
  act();
  await closed;
  return reason;
}
const memoryMb = (): number =>
  Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${broker.pid}/status`, 'utf8'))?.[1]) / 1024;

await t.test(
  'no client takes the session of a gateway or of another station, whatever client id it names',
  async (t) => {
    const cp1 = await broker.enter('cp1');
    const cp1Hears = await ears(cp1, `${home('cp1')}/#`);
    for (const clientId of ['khumbu-gateway', 'khumbu-khumbu', 'cp1', 'local.cp1', '']) {
      for (const version of [{}, V3]) {
        const cp2 = await broker.enter('cp2', { clientId, ...version });
        await cp2.subscribeAsync(`${home('cp2')}/#`, { qos: 1 });
        await barrier(cp2, 'cp2');
        await cp2.endAsync();
      }
    }
    await gateway.publishAsync(`${home('cp1')}/m2e/reply/still`, '1', { qos: 1 });
    await cp1Hears.awaitItem((text) => text.endsWith('/still 1'), PATIENCE_MS, 'the other station is still connected');
    t.ok(gateway.connected && cp1.connected);
    t.notOk(
      gatewayHears.items.some((text) => text.includes('/e2m/')),
      'and nobody has spoken in the name of another',
    );
  },
);

await t.test('a name that is nearly another’s is nobody', async (t) => {
  const password = secrets.passwordOf('cp2');
  const names = [
    'Khumbu-Gateway',
    'KHUMBU-GATEWAY',
    'khumbu-gateway ',
    ' cp1',
    'CP1',
    'cp1/',
    'cp1\u200b',
    '#',
    '+',
    '',
  ];
  for (const username of names) {
    for (const version of [{}, V3]) {
      await t.rejects(broker.enter(username, { password, clientId: 'x', ...version }), /Not authorized/i, username);
    }
  }
  for (const name of ['Khumbu-observer', 'KHUMBU-gateway', '..', '.']) {
    await t.rejects(secrets.script('station.sh', 'add', name), `not a name for a station: ${name}`);
  }
});

await t.test('a station hears its own and nothing else, by no filter', async (t) => {
  const cp2 = await broker.enter('cp2');
  const filters = [
    '#',
    '+/+/#',
    '$SYS/#',
    '$SYS/broker/+',
    '$share/all/depot/+/everest_api/#',
    'depot/cp1/#',
    'khumbu/#',
  ];
  const heard = await ears(cp2, ...filters);
  for (const topic of [`${home('cp1')}/m2e/reply/1`, `${home('cp1')}/e2m/x`, 'khumbu/fence/khumbu-khumbu']) {
    await gateway.publishAsync(topic, '"for others"', { qos: 1 });
  }
  await barrier(cp2, 'cp2');
  t.ok(
    heard.items.every((text) => text.startsWith('depot/cp2/')),
    heard.items.join(),
  );
  await cp2.endAsync();
});

await t.test('a last will is heard where its station may speak, and nowhere else', async (t) => {
  const die = async (topic: string): Promise<void> => {
    const cp2 = await broker.enter('cp2', { will: { topic, payload: Buffer.from('"will"'), qos: 1, retain: false } });
    const closed = nextEvent(cp2, 'close', PATIENCE_MS);
    cp2.stream.destroy();
    await closed;
  };
  for (const topic of [`${home('cp1')}/e2m/heartbeat`, 'khumbu/fence/khumbu-khumbu', '$SYS/broker/uptime'])
    await die(topic);
  await die(`${home('cp2')}/e2m/heartbeat`);
  await gatewayHears.awaitItem((text) => text === `${home('cp2')}/e2m/heartbeat "will"`, PATIENCE_MS, 'its own');
  t.notOk(gatewayHears.items.some((text) => text.includes('cp1/') && text.includes('will')));
});

await t.test('nothing is retained: who tries is thrown out', async (t) => {
  const topic = `${home('cp2')}/e2m/kept`;
  for (const version of [{}, V3]) {
    const cp2 = await broker.enter('cp2', version);
    const reason = await thrownOut(cp2, () => cp2.publish(topic, '"kept"', { qos: 1, retain: true }));
    t.ok(version === V3 || reason === 154, 'MQTT 5 is told: retain not supported');
    const will = { topic, payload: Buffer.from('x'), qos: 1, retain: true } as const;
    await t.rejects(broker.enter('cp2', { will, ...version }), /Retain not supported|refused|close|connect/i);
  }
  const cp2 = await broker.enter('cp2');
  const heard = await ears(cp2, `${home('cp2')}/#`);
  await barrier(cp2, 'cp2');
  t.notOk(heard.items.some((text) => text.includes('kept')));
  await cp2.endAsync();
});

await t.test('the memory is not filled by what one station sends or leaves waiting', async (t) => {
  const before = memoryMb();
  const long = Buffer.alloc(200_000, 'x');
  const topic = `${home('cp2')}/m2e/reply/long`;
  const session = { clean: false, properties: { sessionExpiryInterval: 3600 } };

  const sender = await broker.enter('cp2');
  await thrownOut(sender, () => sender.publish(`${home('cp2')}/e2m/x`, Buffer.alloc(20_000_000), { qos: 1 }, () => {}));
  t.ok(memoryMb() - before < 20, 'a packet of 20 MB is not even read');

  const away = await broker.enter('cp2', session);
  await away.subscribeAsync(`${home('cp2')}/#`, { qos: 1 });
  await away.endAsync();
  for (let sent = 0; sent < 500; sent += 1) await gateway.publishAsync(topic, long, { qos: 1 });
  t.ok(memoryMb() - before < 40, '100 MB for a station that is away');

  // It reads, acknowledges nothing, and what it says reaches itself.
  const deaf = await broker.enter('cp2', session);
  (deaf as unknown as { handleMessage: () => void }).handleMessage = () => {};
  for (let sent = 0; sent < 500; sent += 1) await gateway.publishAsync(topic, long, { qos: 1 });
  t.ok(memoryMb() - before < 60, '100 MB for a station that acknowledges nothing');
  await deaf.endAsync(true);
  await (await broker.enter('cp2')).endAsync();
  t.ok(gateway.connected);
});

await t.test('a user has one connection, and who opens thousands does not keep a gateway out', async (t) => {
  const first = await broker.enter('cp2', { clientId: 'one' });
  const silent = await broker.enter('cp1', { keepalive: 3600 });
  t.equal(silent.keepalive, 60, 'a station of MQTT 5 is told to be heard every minute');
  await silent.endAsync();
  await thrownOut(first, () => void broker.enter('cp2', { clientId: 'two' }));

  const sockets: Socket[] = [];
  let closed = 0;
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  while (closed === 0 && sockets.length < 5000) {
    const socket = connectTcp(broker.port, '127.0.0.1');
    socket.on('error', () => {}).on('close', () => (closed += 1));
    sockets.push(socket);
    await within(new Promise((resolve) => socket.once('connect', resolve).once('close', resolve)), PATIENCE_MS, 'TCP');
  }
  // A busy broker comes late to those that the kernel has taken for it.
  const areLimited = (): boolean => sockets.length - closed <= 2100;
  t.ok(await awaitUntil(areLimited, PATIENCE_MS, 'connections of stations to be limited'));
  t.ok(closed > 0, 'some are closed');
  await t.rejects(broker.enter('cp1', { connectTimeout: 3000 }), 'even of those who have a password');
  const standby = await broker.enter('khumbu-gateway', {}, broker.gatewayUrl);
  await awaitUntil(() => !gateway.connected, PATIENCE_MS, 'the next leader takes the session over');
  t.ok(standby.connected);
});
