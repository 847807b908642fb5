/**
 * What is read over REST, by whom ever and however much, is not taken from the answers of stations: a real gateway, a
 * real broker, and a process that reads as fast as it is answered.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { update } from '@khumbu/intake/test/fixtures';
import { createStore } from '@khumbu/operations/kinds/store';
import { STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { patientRedis } from '@khumbu/shared/runtime/redis';
import { type Child, startChild } from '@khumbu/test-support/children';
import { awaitUntil } from '@khumbu/test-support/events';
import { type EverestClient, startEverestClient } from '@khumbu/test-support/everest-client';
import { startMosquitto } from '@khumbu/test-support/mosquitto';
import { goFirst, goWithAllOthers } from '@khumbu/test-support/priority';
import { startRedis } from '@khumbu/test-support/redis';
import { SIGNED } from '@khumbu/test-support/statuses';
import t, { type Test } from 'tap';
import { API_KEY, depot, leads, startGateway } from './gateway-process.js';
import { KEYS, openRest } from './rest-harness.js';
import { inLongTurns, watchTurns } from './watched-turns.js';

const LOADER = fileURLToPath(new URL('./rest-load-client.js', import.meta.url));
const STATIONS = 4;
const RECORDS = 1500;
const ASKED = 200;

goFirst();
const dir = t.testdir();
const redis = await startRedis({ dir });
const broker = await startMosquitto({ dir });
t.teardown(() => Promise.all([redis.stop(), broker.stop()]));

/** Operations of many stations, ended and open, as long ones are. */
async function fill(prefix: string): Promise<void> {
  const connection = patientRedis(redis.url, () => undefined);
  const store = createStore(connection, prefix);
  const at = Date.now();
  const history = Array.from({ length: 18 }, (_, n) => ({ at: at + n, state: SIGNED[n % SIGNED.length] ?? '' }));
  for (let n = 0; n < RECORDS; n += 50) {
    const transaction = store.transaction();
    for (let m = n; m < n + 50; m++) {
      const record = update(m % 10 === 0 ? 'Downloading' : 'Installed', {
        id: `filled-${m}`,
        history,
        createdAt: at + m,
      });
      const over = { endedAt: at + m, outcome: { ok: true } };
      transaction.put({ ...record, station: `filled-${m % 300}`, ...(m % 10 === 0 ? {} : over) });
    }
    await store.commit(transaction);
  }
  for (let n = 0; n < 300; n++) {
    await connection.sadd(store.keys.stations, `filled-${n}`);
    await connection.hset(store.keys.station(`filled-${n}`), STATION_FIELDS.firstSeenAt, String(at));
  }
  connection.disconnect();
}

const quantile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;

/** How long each answer took, and how many were the default. */
async function askAll(clients: readonly EverestClient[]): Promise<{ ms: number[]; defaults: number }> {
  let defaults = 0;
  const lists = await Promise.all(
    clients.map(async (client) => {
      const took: number[] = [];
      for (let n = 0; n < ASKED / clients.length; n++) {
        // Not the boot reason: where heartbeats come late it may be another one, and stays so.
        const { reply, ms } = await client.request('is_reset_allowed', 'Soft', { timeoutMs: 20_000 });
        if (reply !== true) defaults += 1;
        took.push(ms);
        // EVerest asks one thing at a time, and not without a break.
        await pause(5);
      }
      return took;
    }),
  );
  return { ms: lists.flat(), defaults };
}

async function startLoad(t: Test, url: string, key: string, connections: number, paths: string[]): Promise<Child> {
  const child = await startChild(process.execPath, [LOADER, url, key, String(connections), ...paths]);
  t.teardown(() => child.end('SIGKILL'));
  goWithAllOthers(child.pid);
  await awaitUntil(() => child.stdout().includes('begun'), 20_000, 'the load');
  return child;
}

/** How often it got which status. */
async function endLoad(load: Child): Promise<Record<string, number>> {
  load.process.kill('SIGTERM');
  await load.exited;
  return JSON.parse(load.stdout().split('\n')[1] ?? '') as Record<string, number>;
}

const LOADS: Record<string, { key: string; paths: string[] }> = {
  'long lists': { key: KEYS.read, paths: ['/v1/operations?limit=500'] },
  'lists by what is rare': {
    key: KEYS.read,
    paths: [
      '/v1/operations?status=Idle',
      '/v1/operations?origin=rest&kind=firmware_update',
      '/v1/operations?kind=reset',
    ],
  },
  'all stations': { key: KEYS.read, paths: ['/v1/stations?limit=500'] },
  'one operation': { key: KEYS.read, paths: ['/v1/operations/filled-1', '/v1/operations/filled-0'] },
  'what is not there': { key: KEYS.read, paths: ['/v1/nothing', '/nothing', '/v1/stations/nobody', '/%zz'] },
  'no key': { key: '', paths: ['/v1/operations?limit=500'] },
  'a wrong key': { key: 'wrong', paths: ['/v1/operations?limit=500'] },
  documents: { key: '', paths: ['/openapi.json', '/docs/yaml', '/docs/json', '/docs/', '/asyncapi.json', '/metrics'] },
  files: { key: '', paths: ['/docs/static/swagger-ui-bundle.js', '/docs/static/swagger-ui.css'] },
};

const WATCHED_MS = 1000;

void t.test('no piece of work keeps stations waiting, whatever is read', async (t) => {
  const prefix = 'turns';
  await fill(prefix);
  const rest = await openRest(t, { redis, prefix, stations: { 'cs-1': {} } });
  await rest.app.listen({ host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${(rest.app.server.address() as { port: number }).port}`;
  for (const [name, { key, paths }] of Object.entries(LOADS)) {
    let long = Number.POSITIVE_INFINITY;
    let isTurnedAway = true;
    // A machine with much else to do may make turns long by itself.
    for (let round = 0; round < 3 && (isTurnedAway || long / WATCHED_MS >= 0.2); round += 1) {
      const load = await startLoad(t, url, key, 60, paths);
      const turns = watchTurns();
      await pause(WATCHED_MS);
      const took = turns.stop();
      const statuses = await endLoad(load);
      long = Math.min(long, inLongTurns(took));
      t.comment(`${name}: longest ${quantile(took, 1).toFixed(1)} ms, ${JSON.stringify(statuses)}`);
      t.ok(Object.keys(statuses).length > 0, `${name} was answered`);
      t.notOk('500' in statuses, `${name}: ${JSON.stringify(statuses)}`);
      isTurnedAway = '503' in statuses;
    }
    t.notOk(isTurnedAway, `${name} is not turned away`);
    t.ok(long / WATCHED_MS < 0.2, `${name}: ${long.toFixed(0)} of ${WATCHED_MS} ms in long turns`);
  }
});

void t.test('stations get their answers while one key reads two hundred lists at once', async (t) => {
  const place = await depot(t, { redisUrl: redis.url, mqttUrl: broker.url });
  await fill(place.name);
  const gateway = await startGateway(t, place, { LOG_LEVEL: 'info' });
  await leads(gateway);
  const clients = await Promise.all(
    Array.from({ length: STATIONS }, (_, n) =>
      startEverestClient({ mqttUrl: broker.url, moduleId: `cs-${n}`, prefix: place.topicPrefix, heartbeatMs: 1000 }),
    ),
  );
  t.teardown(() => Promise.all(clients.map((client) => client.close())));
  await awaitUntil(async () => (await askAll(clients)).defaults === 0, 60_000, 'a round of right answers');
  // A machine with much else to do may make one answer late by itself.
  let best: { defaults: number; statuses: Record<string, number>; text: string } | undefined;
  const isRefused = (status: string): boolean => status !== '200' && status !== '429';
  const isGood = (): boolean => best?.defaults === 0 && !Object.keys(best.statuses).some(isRefused);
  for (let round = 0; round < 3 && !isGood(); round++) {
    const quiet = await askAll(clients);
    const load = await startLoad(t, gateway.url, API_KEY, 200, ['/v1/operations?limit=500']);
    const loaded = await askAll(clients);
    const statuses = await endLoad(load);
    const text = [0.5, 0.9, 0.99].map(
      (q) => `${quantile(quiet.ms, q).toFixed(1)} -> ${quantile(loaded.ms, q).toFixed(1)}`,
    );
    t.comment(`p50, p90, p99 in ms: ${text.join(', ')}; ${JSON.stringify(statuses)}`);
    best = { defaults: loaded.defaults, statuses, text: text.join() };
  }
  t.equal(best?.defaults, 0, 'no station got the default');
  t.ok((best?.statuses['200'] ?? 0) >= 200, 'all two hundred are answered');
  t.strictSame(
    Object.keys(best?.statuses ?? {}).filter(isRefused),
    [],
    'and nobody is turned away but by the limit of the key',
  );
});
