import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { answersOn, freePort } from '@khumbu/shared/runtime/free-port';
import { identify } from '@khumbu/shared/runtime/process-identity';
import { startChild } from '@khumbu/test-support/children';
import { awaitUntil, within } from '@khumbu/test-support/events';
import t from 'tap';
import { openDataDir } from '../src/data-dir.js';
import { openLogFile } from '../src/log-file.js';
import { notableLines, whyItEnded } from '../src/notable-lines.js';
import { findCommand, findPrograms } from '../src/programs.js';
import { UP_SETTINGS } from '../src/settings.js';
import { alive, startStubCluster } from './stub-cluster.js';

const CHILDREN =
  'gateway-1 gateway-2 log-worker-1 mosquitto ota-worker-1 redis s3 station-simulator system-control-1'.split(' ');
/** 10 s, as far as the processes get to run. */
const STOPPED_MS = 30_000;
const portOf = (url: string | undefined): number => Number(new URL(url ?? '').port);
const noneAlive = (pids: readonly number[]) => awaitUntil(() => !pids.some(alive), 8000, 'all children to be gone');

await t.test('it comes up, keeps its children alive, stops in order, goes on with the same data', async (t) => {
  const dir = t.testdir();
  const env = { GATEWAYS: '2', MQTT_TOPIC_PREFIX: 'depot/{station}/' };
  const run = await startStubCluster({ dir, env });
  const line = await run.ready();
  t.same(Object.keys(run.pids()).sort(), CHILDREN);
  t.equal(run.child.stdout().split('\n').length, 2, 'stdout has that one line alone');
  for (const name of [
    'httpUrl',
    'mqttUrl',
    'redisUrl',
    's3Endpoint',
    's3AccessKey',
    's3SecretKey',
    's3Bucket',
    'apiKey',
  ]) {
    t.type(line[name], 'string', name);
  }
  t.ok(await answersOn(portOf(line.redisUrl), 'PING\r\n', '+PONG'));
  t.equal((await fetch(`${line.s3Endpoint}/${line.s3Bucket}`)).status, 200, 'the bucket exists');
  t.equal(line.httpUrls?.length, 2);
  t.ok(
    run.journal().every((entry) => entry.endsWith(' depot/{station}/')),
    'variables of services pass through',
  );
  t.equal(statSync(join(run.dataDir, 'api-key')).mode & 0o777, 0o600);
  t.notMatch(readFileSync(join(run.dataDir, 'api-keys.json'), 'utf8'), line.apiKey ?? '');

  const before = run.pids();
  for (const name of CHILDREN) process.kill(before[name] as number, 'SIGKILL');
  await awaitUntil(
    () => CHILDREN.every((name) => run.pids()[name] !== undefined && run.pids()[name] !== before[name]),
    10_000,
    'every child to be started again',
  );
  await awaitUntil(() => answersOn(portOf(line.redisUrl), 'PING\r\n', '+PONG'), 5000, 'Redis to answer again');
  await awaitUntil(() => answersOn(portOf(line.httpUrl)), 5000, 'the gateway to answer again');
  t.match(run.child.output(), /redis ended \(SIGKILL\); it is started again in 100 ms/);

  const second = await startStubCluster({ dir: join(dir, 'second'), env: { DATA_DIR: run.dataDir } });
  t.equal((await second.child.exited).code, 1);
  t.match(second.child.output(), /^khumbu: DATA_DIR \S+ belongs to a run that is still going \(process \d+\): .*\n$/);

  const pids = Object.values(run.pids());
  const asked = performance.now();
  t.same(await run.child.end('SIGTERM'), { code: 0, signal: null });
  t.ok(performance.now() - asked < STOPPED_MS);
  t.notOk(pids.some(alive));
  const stops = run.journal().filter((entry) => entry.startsWith('stop '));
  t.equal(stops.shift(), 'stop station-simulator');
  t.same(stops.splice(0, 3).sort(), ['stop log-worker', 'stop ota-worker', 'stop system-control']);
  t.same(stops, ['stop gateway', 'stop gateway']);
  t.same(run.pids(), {});

  writeFileSync(join(run.dataDir, 'stations.yaml'), 'unknown_stations: refuse\n');
  const again = await startStubCluster({ dir });
  t.equal((await again.ready()).apiKey, line.apiKey, 'the key stays');
  t.equal(readFileSync(join(run.dataDir, 'stations.yaml'), 'utf8'), 'unknown_stations: refuse\n');
  t.ok(existsSync(join(run.dataDir, 'log', 'redis.log.1')), 'the log of before is kept');
  await again.child.end('SIGINT');
});

await t.test('SIGKILL leaves nothing behind', async (t) => {
  const run = await startStubCluster({ dir: t.testdir() });
  await run.ready();
  const pids = Object.values(run.pids());
  t.equal(pids.length, 8);
  await run.child.end('SIGKILL');
  await noneAlive(pids);
});

await t.test('a signal to the whole group, twice at once as npm does it, is one orderly stop', async (t) => {
  const run = await startStubCluster({ dir: t.testdir(), group: true });
  await run.ready();
  const pids = Object.values(run.pids());
  process.kill(-run.child.pid, 'SIGINT');
  process.kill(-run.child.pid, 'SIGINT');
  await run.child.exited;
  await noneAlive(pids);
  t.equal(run.journal().filter((entry) => entry.startsWith('stop ')).length, 5, 'every service stopped by itself');
});

await t.test('when npm alone is killed, the run ends', async (t) => {
  const run = await startStubCluster({ dir: t.testdir(), group: true, env: { npm_lifecycle_event: 'up' } });
  await run.ready();
  const pids = Object.values(run.pids());
  await run.child.end('SIGKILL');
  await noneAlive(pids);
  t.equal(run.journal().filter((entry) => entry.startsWith('stop ')).length, 5, 'in order');
  await awaitUntil(() => !existsSync(join(run.dataDir, 'run', 'supervisor.pid')), 2000, 'the lock to be released');
});

await t.test('one that does not stop is killed, within 10 s in all', async (t) => {
  const run = await startStubCluster({ dir: t.testdir(), env: { STUBBORN: 'ota-worker' } });
  await run.ready();
  const pids = Object.values(run.pids());
  const asked = performance.now();
  await run.child.end('SIGTERM', 60_000);
  t.ok(performance.now() - asked < STOPPED_MS);
  t.notOk(pids.some(alive));
  t.match(run.child.output(), /ota-worker-1 did not stop within \d+ ms; it is killed/);
  t.ok(run.journal().includes('stop gateway'), 'the others stopped in order');
});

await t.test('what is left of a killed run is stopped, and nothing else', async (t) => {
  const dir = t.testdir();
  const [leftover, stranger] = [await startChild('sleep', ['60']), await startChild('sleep', ['60'])];
  await mkdir(join(dir, 'data', 'run'), { recursive: true });
  await writeFile(join(dir, 'data', 'run', 'ghost.pid'), JSON.stringify(identify(leftover.pid)));
  const reused = { ...identify(stranger.pid), startTicks: '1' };
  await writeFile(join(dir, 'data', 'run', 'other.pid'), JSON.stringify(reused));
  const dataDir = await openDataDir(join(dir, 'data'));
  t.same(await dataDir.stopLeftovers(), ['ghost']);
  t.equal((await leftover.exited).signal, 'SIGTERM');
  t.ok(alive(stranger.pid), 'a process that got the number later is not ours');
  await t.rejects(openDataDir(join(dir, 'data')), { code: 'DATA_DIR_IN_USE' });
  dataDir.release();
  await writeFile(join(dir, 'data', 'run', 'supervisor.pid'), JSON.stringify(reused));
  (await openDataDir(join(dir, 'data'))).release();
  await stranger.end();
});

await t.test('what hinders the start is said in one line, and nothing is left running', async (t) => {
  const dir = t.testdir({ file: 'x' });
  const server = createServer();
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const cases = [
    { env: { MQTT_PORT: String(port) }, line: new RegExp(`^khumbu: port ${port} \\(MQTT_PORT\\) is in use`, 'm') },
    { env: { HTTP_PORT: '70000', GATEWAYS: 'x' }, line: /^khumbu: HTTP_PORT must be <= 65535 .*; GATEWAYS must be/m },
    { env: { HTTP_PORT: '21999', S3_PORT: '21999' }, line: /^khumbu: port 21999 \(HTTP_PORT\) is wanted by two/m },
    { env: { DATA_DIR: join(dir, 'file') }, line: /^khumbu: DATA_DIR \S+ is not a folder/m },
    { env: { DATA_DIR: '/proc/khumbu' }, line: /^khumbu: DATA_DIR \/proc\/khumbu cannot be used/m },
    { env: { BROKEN: 'gateway' }, line: /^khumbu: gateway-1 does not start: fatal: no good \(\S+gateway-1\.log\)$/m },
  ];
  await Promise.all(
    cases.map(async ({ env, line }, index) => {
      const run = await startStubCluster({ dir: join(dir, String(index)), env });
      t.same(
        await within(run.child.exited, 60_000, `the end of ${JSON.stringify(env)}`),
        { code: 1, signal: null },
        JSON.stringify(env),
      );
      t.match(run.child.output(), line);
      t.equal(run.child.stdout(), '');
      t.equal(run.child.output().match(/^khumbu: /gm)?.length, 1);
      if (existsSync(join(run.dataDir, 'run'))) t.same(run.pids(), {});
    }),
  );
});

await t.test('settings, programs, logs', async (t) => {
  t.match(loadConfig(UP_SETTINGS, {}), {
    HTTP_PORT: 8080,
    MQTT_PORT: 18830,
    SIMULATED_STATIONS: 3,
    GATEWAYS: 1,
    UP_JSON: false,
  });
  t.equal(loadConfig(UP_SETTINGS, { UP_JSON: '1' }).UP_JSON, true);
  t.equal(findCommand(['no-such-program-here', 'sh'], '/bin'), '/bin/sh');
  t.equal(findCommand(['no-such-program-here']), undefined);
  t.match(await findPrograms(['redis', 'mosquitto'], { say: () => {} }), {
    redis: /redis|valkey/,
    mosquitto: /mosquitto/,
  });

  const path = join(t.testdir(), 'x.log');
  const log = openLogFile(path, 10);
  for (const text of ['one\n', 'two\n', 'three\n']) log.write(Buffer.from(text));
  log.close();
  t.equal(readFileSync(path, 'utf8'), 'three\n');
  t.equal(readFileSync(`${path}.1`, 'utf8'), 'one\ntwo\n');

  t.equal(whyItEnded(['Node.js v20', '    at x', 'TypeError: no', '{"level":30,"msg":"up"}']), 'TypeError: no');
  t.equal(whyItEnded(['Node.js v20', '{"level":60,"msg":"bad port"}']), 'fatal: bad port');
  t.equal(whyItEnded(['rest', 'more']), 'rest');

  const said: string[] = [];
  let now = 0;
  const feed = notableLines(
    (line) => said.push(line),
    () => now,
  );
  feed('{"level":30,"msg":"fine"}\nplain\n{"level":50,"msg":"bro');
  feed('ken","err":{"message":"why"}}\n');
  for (let i = 0; i < 9; i += 1) feed('{"level":40,"msg":"again"}\n');
  now = 20_000;
  feed('{"level":40,"msg":"later"}\n');
  t.equal(said[0], 'error: broken: why');
  t.same(said.slice(6), ['... and 4 more like that', 'warning: later']);

  said.length = 0;
  now = 40_000;
  for (let i = 0; i < 9; i += 1) feed('{"level":40,"msg":"bad message","reason":"longer than 9 bytes"}\n');
  feed('{"level":50,"msg":"a file is broken","err":{"message":"A_FILE: it is empty"}}\n');
  t.equal(said[0], 'warning: bad message: longer than 9 bytes');
  t.equal(said.at(-1), 'error: a file is broken: A_FILE: it is empty', 'warnings do not keep an error from being seen');
  now = 60_000;
  feed(`${JSON.stringify({ level: 40, msg: 'odd', reason: `\u001b[2J\r\n\u202e${'x'.repeat(9000)}` })}\n`);
  t.match(said.at(-1), /^warning: odd: \uFFFD\[2J\uFFFD\uFFFD\uFFFDx+$/, 'what was sent does not steer the terminal');
  t.ok((said.at(-1) ?? '').length <= 500);
});
