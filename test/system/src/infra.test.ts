/** What `infra/` says to brokers and operators, run for real: secrets, the depot's broker, a charger's bridge to it. */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { SERVICE_FLAGS, SERVICE_SCRIPTS } from '@khumbu/embedded-run/cluster';
import { freePort } from '@khumbu/shared/runtime/free-port';
import { askUntilDecided } from '@khumbu/test-support/ask-until-decided';
import { startChild } from '@khumbu/test-support/children';
import { nextEvent } from '@khumbu/test-support/events';
import { startEverestClient } from '@khumbu/test-support/everest-client';
import { startMosquitto } from '@khumbu/test-support/mosquitto';
import { startRedis } from '@khumbu/test-support/redis';
import { connectAsync } from 'mqtt';
import t, { type Test } from 'tap';
import { ears, makeSecrets, ROOT, startDepotBroker } from './depot-broker.js';
import { ANSWER_LATEST_MS } from './everest.js';

const run = promisify(execFile);
const PATIENCE_MS = 20_000;
const MODULE = 'everest_api/1/system/main';

const dir = t.testdir({});
const depot = await makeSecrets(dir);
const { folder: secrets, read: secret, script: infra } = depot;

void t.test('services are started with the same flags everywhere', async (t) => {
  const script = readFileSync(`${ROOT}/infra/service.Dockerfile`, 'utf8').match(/^RUN (case[\s\S]*?>start\.sh)$/m)?.[1];
  for (const [service, all] of Object.entries(SERVICE_FLAGS)) {
    const flags = all.join(' ');
    const unit = readFileSync(`${ROOT}/infra/systemd/khumbu-${service}@.service`, 'utf8');
    t.match(unit, `/usr/bin/node ${flags} /`, `unit of ${service}`);
    const cwd = t.testdir({});
    await run('sh', ['-c', script ?? 'exit 1'], { cwd, env: { SERVICE: service } });
    const start = readFileSync(`${cwd}/start.sh`, 'utf8');
    t.equal(start, `exec node ${flags} service/dist/bundle/main.js\n`, `image of ${service}`);
  }
});

void t.test('a build of an image has the scripts that it runs', async (t) => {
  const passed = readFileSync(`${ROOT}/.dockerignore`, 'utf8').split('\n');
  const dockerfile = readFileSync(`${ROOT}/infra/service.Dockerfile`, 'utf8');
  const scripts = new Set([...dockerfile.matchAll(/node (scripts\/\S+\.mjs)/g)].map(([, script = '']) => script));
  t.ok(scripts.size > 0);
  for (const script of scripts) {
    t.ok(passed.includes(`!${script}`), script);
    for (const [, name] of readFileSync(`${ROOT}/${script}`, 'utf8').matchAll(/from '\.\/(\S+)'/g))
      scripts.add(`scripts/${name}`);
  }
});

void t.test('secrets are made once, belong to their readers, and name the broker', async (t) => {
  const before = ['redis-url', 'api-key', 'mosquitto/broker.crt', 'mosquitto/passwords', 'ca.crt'].map(secret);
  await infra('make-secrets.sh', 'depot.example');
  t.same(['redis-url', 'api-key', 'mosquitto/broker.crt', 'mosquitto/passwords', 'ca.crt'].map(secret), before);
  // Root gives each file to its one reader; anyone else keeps the folder shut.
  const shut = (statSync(secrets).mode & 0o077) === 0;
  for (const name of ['redis-url', 'api-key', 'ca.key', 'mqtt-password', 'mosquitto/broker.key', 'stations']) {
    const file = `${secrets}/${name}`;
    t.ok(shut || !existsSync(file) || (statSync(file).mode & 0o077) === 0, `nobody else reads ${name}`);
  }
  t.match(secret('redis-url'), /^redis:\/\/:[0-9a-f]{48}@redis:6379$/);
  t.equal(secret('redis-auth.conf'), `requirepass ${secret('redis-password')}`);
  const verified = await run('openssl', [
    'verify',
    '-CAfile',
    `${secrets}/ca.crt`,
    '-verify_hostname',
    'depot.example',
    `${secrets}/mosquitto/broker.crt`,
  ]);
  t.match(verified.stdout, 'OK');
  t.notMatch(secret('mosquitto/passwords'), secret('mqtt-password'));

  const users = (): string[] =>
    secret('mosquitto/passwords')
      .split('\n')
      .map((line) => line.split(':')[0] ?? '');
  await infra('station.sh', 'add', 'gone');
  await infra('station.sh', 'add', 'g.ne');
  await infra('station.sh', 'remove', 'g.ne');
  t.same(users(), ['khumbu-gateway', 'gone']);
  await infra('station.sh', 'remove', 'gone');
  t.same(users(), ['khumbu-gateway']);
  for (const bad of ['khumbu-gateway', 'a/b', '+', '']) {
    await t.rejects(infra('station.sh', 'add', bad), `not a name for a station: "${bad}"`);
  }
});

/** A line between charger and depot that can be cut. */
async function startLine(test: Test, port: number) {
  let up = true;
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    if (!up) return near.destroy();
    const far = connectTcp(port, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far).pipe(near);
    return undefined;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const cut = (): void => {
    up = false;
    for (const socket of sockets) socket.destroy();
  };
  test.teardown(() => {
    cut();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    mend: (): void => {
      up = true;
    },
  };
}

void t.test('a charger behind its own broker, bridged to the depot', async (t) => {
  for (const station of ['cp1', 'cp2']) await infra('station.sh', 'add', station);
  const broker = await startDepotBroker(t, { dir, secrets: depot });
  const line = await startLine(t, broker.port);
  await infra('station.sh', 'add', 'cp1', `127.0.0.1:${line.port}`);
  const redis = await startRedis({ dir: `${dir}/redis` });
  t.teardown(() => redis.stop());

  await writeFile(`${dir}/stations.yml`, 'stations: { cp1: { driver: simulated }, cp2: { driver: simulated } }');
  const gateway = await startChild(process.execPath, [SERVICE_SCRIPTS.gateway], {
    env: {
      PATH: process.env.PATH,
      REDIS_URL: redis.url,
      ...broker.gatewayEnv,
      MQTT_TOPIC_PREFIX: 'depot/{station}/',
      STATIONS_FILE: `${dir}/stations.yml`,
      HTTP_PORT: String(await freePort()),
    },
  });
  t.teardown(() => gateway.end('SIGKILL'));

  const bridge = secret('stations/cp1/khumbu-bridge.conf').replaceAll(
    '/etc/mosquitto/khumbu/depot-ca.crt',
    `${secrets}/stations/cp1/depot-ca.crt`,
  );
  const charger = await startMosquitto({ dir: `${dir}/charger`, config: bridge.split('\n') });
  t.teardown(() => charger.stop());
  const everest = await startEverestClient({
    mqttUrl: charger.url,
    moduleId: 'main',
    heartbeatMs: 2000,
    // A station that has said that it sends no heartbeats is answered at once. Else its question would wait for the next one, and
    // one that comes late through two brokers would be taken for a restart.
    discovery: { heartbeat_period_ms: 0, communication_check_period_s: 1, request_reply_timeout_s: 60 },
  });
  t.teardown(() => everest.close());
  let questions = 0;
  const askBootReason = () =>
    askUntilDecided('get_boot_reason', () => {
      questions += 1;
      return everest.request('get_boot_reason', undefined, { timeoutMs: PATIENCE_MS });
    });
  const bootReason = async (): Promise<unknown> => (await askBootReason()).reply;

  await t.test('request and reply, checks and discovery', async (t) => {
    // Heard in both directions: the chain stands. What is asked before that is lost on the way.
    await everest.messages.awaitItem(
      ({ leaf }) => leaf === 'communication_check',
      PATIENCE_MS,
      'a check through the bridge',
    );
    // Once: who asks again some time later has restarted since. On a busy machine the first answer may be a default.
    const { reply, ms } = await askBootReason();
    const right = questions === 1 ? ['PowerUp'] : ['PowerUp', 'Unknown'];
    t.ok(right.includes(String(reply)), `${String(reply)} after ${questions} questions`);
    t.ok(ms < ANSWER_LATEST_MS, `answered in ${Math.round(ms)} ms`);
  });

  const watcher = await broker.spokesman();
  const depotHears = await ears(watcher, 'depot/+/everest_api/#');

  await t.test('a station is confined to its own prefix', async (t) => {
    const cp2 = await broker.enter('cp2');
    const cp2Hears = await ears(cp2, '#');
    const forged = `depot/cp1/${MODULE}/m2e/firmware_update_status`;
    await cp2.publishAsync(forged, '"forged"', { qos: 1 }).catch((error: unknown) => {
      t.match(error, /Not authorized/);
    });
    await cp2.publishAsync('khumbu/fence/khumbu-khumbu', '"forged"', { qos: 1 }).catch(() => undefined);
    await watcher.publishAsync(`depot/cp2/${MODULE}/m2e/reply/barrier`, '"to cp2"', { qos: 1 });
    await cp2Hears.awaitItem((text) => text.endsWith('"to cp2"'), PATIENCE_MS, 'what is meant for it');
    await cp2.publishAsync(`depot/cp2/${MODULE}/e2m/heartbeat`, '42', { qos: 1 });
    await depotHears.awaitItem(
      (text) => text === `depot/cp2/${MODULE}/e2m/heartbeat 42`,
      PATIENCE_MS,
      'what it may say',
    );
    t.ok(depotHears.items.every((text) => !text.includes('forged')));
    await depotHears.awaitItem((text) => text.startsWith('depot/cp1/'), PATIENCE_MS, 'the other station');
    t.ok(
      cp2Hears.items.every((text) => text.startsWith('depot/cp2/')),
      'though it subscribed to everything',
    );
    t.ok(everest.messages.items.every(({ text }) => !text.includes('forged')));
  });

  await t.test('nobody enters without a password, or by another’s', async (t) => {
    const ca = readFileSync(`${secrets}/ca.crt`);
    for (const url of [broker.url, broker.gatewayUrl]) {
      await t.rejects(broker.enter('cp1', { password: 'guessed' }, url), /Not authorized/);
      await t.rejects(broker.enter('cp1', { password: secret('stations/cp2/password') }, url), /Not authorized/);
      await t.rejects(connectAsync(url, { protocolVersion: 5, ca, reconnectPeriod: 0 }, false), /Not authorized/);
      await t.rejects(broker.enter('cp2', { ca: [] }, url), /certificate|issuer/);
    }
    const inside = await broker.enter('cp2');
    const password = secret('stations/cp2/password');
    const shutOut = nextEvent(inside, 'close', PATIENCE_MS);
    await infra('station.sh', 'remove', 'cp2');
    process.kill(broker.pid, 'SIGHUP');
    await shutOut;
    await t.rejects(broker.enter('cp2', { password }), /Not authorized/);
  });

  await t.test('other topics of EVerest stay in the charger', async (t) => {
    const local = await connectAsync(charger.url, { protocolVersion: 5 });
    t.teardown(() => local.endAsync(true));
    await local.publishAsync('everest_api/1/evse_manager/connector_1/e2m/powermeter', '"metered"', { qos: 1 });
    await local.publishAsync(`${MODULE}/m2e/firmware_update_status`, '"said here"', { qos: 1 });
    await local.publishAsync(`${MODULE}/e2m/heartbeat`, '4242', { qos: 1 });
    await depotHears.awaitItem((text) => text === `depot/cp1/${MODULE}/e2m/heartbeat 4242`, PATIENCE_MS, 'a heartbeat');
    t.ok(depotHears.items.every((text) => !/metered|said here/.test(text)));
  });

  await t.test('a cut line: what the depot says waits, what EVerest asked is not done later', async (t) => {
    const linkState = `$SYS/broker/connection/cp1/state`;
    const local = await connectAsync(charger.url, { protocolVersion: 5 });
    t.teardown(() => local.endAsync(true));
    const states = await ears(local, linkState);
    await states.awaitItem((text) => text === `${linkState} 1`, PATIENCE_MS, 'the link is up');
    line.cut();
    await states.awaitItem((text) => text === `${linkState} 0`, PATIENCE_MS, 'the link is down');

    const asked = await ears(local, `${MODULE}/e2m/get_boot_reason`);
    await t.rejects(everest.request('get_boot_reason', undefined, { timeoutMs: 300 }), /in vain/);
    const frame = (await asked.awaitItem(() => true, PATIENCE_MS, 'what was asked')).replace(/^\S+ /, '');
    const { replyTo } = (JSON.parse(frame) as { headers: { replyTo: string } }).headers;
    await everest.publishRaw('connection_lost_marker', '"asked while the line was cut"');
    const status = { request_id: 9, firmware_update_status: 'Installed' };
    const topic = `depot/cp1/${MODULE}/m2e/firmware_update_status`;
    await watcher.publishAsync(topic, JSON.stringify(status), { qos: 1 });
    line.mend();
    await everest.awaitStatus(9, 'Installed', PATIENCE_MS);
    await states.awaitItem((text) => text === `${linkState} 1`, PATIENCE_MS, 'the link is up again');
    await bootReason();
    t.notOk(
      everest.messages.items.some(({ leaf }) => replyTo.endsWith(`/m2e/${leaf}`)),
      'what was asked meanwhile is not answered',
    );
    t.ok(depotHears.items.every((text) => !text.includes('while the line was cut')));
  });
});
