import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startMosquitto } from '@khumbu/test-support/mosquitto';
import { connectAsync } from 'mqtt';
import t, { type Test } from 'tap';
import { stationNames } from '../src/config.js';

const main = fileURLToPath(new URL('../bundle/main.js', import.meta.url));
const broker = await startMosquitto({ dir: t.testdir() });
t.teardown(() => broker.stop());

function start(t: Test, env: Record<string, string>): { child: ChildProcess; output: () => string } {
  const child = fork(main, { env: { PATH: process.env.PATH, MQTT_URL: broker.url, ...env }, silent: true });
  let output = '';
  child.stdout?.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  child.stderr?.on('data', (bytes: Buffer) => {
    output += bytes.toString();
  });
  t.teardown(() => child.kill('SIGKILL'));
  return { child, output: () => output };
}

const within = (ms: number) => ({ signal: AbortSignal.timeout(ms) });

void t.test('names of stations', async (t) => {
  t.same(stationNames({ SIMULATED_STATIONS: 2 }), ['charger_1', 'charger_2']);
  t.same(stationNames({ SIMULATED_STATIONS: 2, STATION_NAMES: ['a', 'b', 'c'] }), ['a', 'b', 'c']);
});

void t.test('runs alone, tells when all stations are there, and stops within a second', async (t) => {
  const client = await connectAsync(broker.url, { protocolVersion: 5 });
  t.teardown(() => client.endAsync(true));
  const stations = new Set<string>();
  client.on('message', (topic) => stations.add(topic.split('/')[1] ?? ''));
  await client.subscribeAsync('depot/+/everest_api/1/system/+/e2m/get_boot_reason');
  for (const end of ['SIGTERM', 'SIGINT', 'disconnect'] as const) {
    const { child, output } = start(t, {
      MQTT_TOPIC_PREFIX: 'depot/{station}/',
      SIMULATED_STATIONS: '3',
      LOG_LEVEL: 'info',
      SIMULATED_STATIONS_DIR: t.testdir(),
    });
    const [message] = await once(child, 'message', within(180_000));
    t.same(message, { ready: true });
    const begun = performance.now();
    if (end === 'disconnect') child.disconnect();
    else child.kill(end);
    const [code] = await once(child, 'exit', within(180_000));
    t.equal(code, 0, `${end}: ${output()}`);
    // It gives itself 0.8 s; the rest is for a busy machine.
    t.ok(performance.now() - begun < 15_000, `${end} stops in time`);
  }
  t.same([...stations].sort(), ['charger_1', 'charger_2', 'charger_3']);
});

void t.test('a wrong setting stops the start and is named', async (t) => {
  const { child, output } = start(t, { DIALECT: 'ocpp3' });
  const [code] = await once(child, 'exit', within(180_000));
  t.equal(code, 1);
  t.match(output(), /DIALECT/);
});
