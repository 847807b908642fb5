/** The broker of `npm run up`, which asks for no password: what a client can do to it and to the gateway all the same. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { awaitUntil, nextEvent } from '@khumbu/test-support/events';
import { startEverestClient } from '@khumbu/test-support/everest-client';
import { connectAsync, type MqttClient } from 'mqtt';
import t from 'tap';
import { startCluster } from './cluster.js';
import { ears } from './depot-broker.js';

const PATIENCE_MS = 30_000;

void t.test(
  'a client without a password takes no session of the gateway, retains nothing, sends nothing too long',
  async (t) => {
    const cluster = await startCluster(t, { dataDir: join(t.testdir(), 'data') });
    const url = cluster.endpoints.mqttUrl;
    const come = async (clientId: string): Promise<MqttClient> => {
      const client = await connectAsync(url, { protocolVersion: 5, clientId, reconnectPeriod: 0 });
      client.on('error', () => {});
      t.teardown(() => void client.end(true));
      return client;
    };
    const listener = await come('listener');
    const heard = await ears(listener, '#', '$SYS/#');
    const everest = await startEverestClient({ mqttUrl: url, moduleId: 'main', heartbeatMs: 500 });
    t.teardown(() => everest.close());
    /** A busy gateway may answer by default. */
    const answer = (): Promise<unknown> =>
      awaitUntil(
        async () => {
          const { reply } = await everest.request('get_boot_reason', undefined, { timeoutMs: PATIENCE_MS });
          return reply !== 'Unknown' && reply;
        },
        PATIENCE_MS,
        'a true answer',
      );
    t.ok(await answer());

    for (const id of ['khumbu-khumbu', 'khumbu-gateway', 'gateway', 'gateway-1']) {
      const other = await come(id);
      t.ok(await answer(), `while somebody is ${id}`);
      await other.endAsync();
    }
    const log = readFileSync(join(cluster.dataDir, 'log', 'gateway-1.log'), 'utf8');
    t.notMatch(log, /another client has our session/);

    const secretFile = join(cluster.dataDir, 'mqtt-client-id');
    const secret = readFileSync(secretFile, 'utf8').trim();
    t.match(secret, /^khumbu-[0-9a-f]{48}$/, 'nobody guesses it');
    t.equal(statSync(secretFile).mode & 0o777, 0o600);
    t.notMatch(log, secret);
    t.notOk(
      heard.items.some((text) => text.includes(secret)),
      'nor is it told',
    );

    for (const [what, payload, retain] of [
      ['retained', 'kept', true],
      ['too long', 'x'.repeat(500_000), false],
    ] as const) {
      const client = await come(`sends what is ${what}`);
      const closed = nextEvent(client, 'close', PATIENCE_MS);
      client.publish('everest_api/1/system/main/e2m/x', payload, { qos: 1, retain }, () => {});
      await closed;
      t.pass(`${what}: thrown out`);
    }
    t.ok(await answer());
  },
);

void t.test('with MQTT_RETAIN it keeps what an EVerest retains for its own modules', async (t) => {
  const cluster = await startCluster(t, { dataDir: join(t.testdir(), 'data'), env: { MQTT_RETAIN: 'true' } });
  const everest = await connectAsync(cluster.endpoints.mqttUrl, { protocolVersion: 5, reconnectPeriod: 0 });
  t.teardown(() => void everest.end(true));
  await everest.publishAsync('everest/interfaces', '[]', { qos: 2, retain: true });
  const heard = await ears(everest, 'everest/#');
  t.equal(await heard.awaitItem(() => true, PATIENCE_MS, 'what is kept'), 'everest/interfaces []');
});
