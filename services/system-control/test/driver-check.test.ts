/** Looks at stations: asked for, done by a worker, told with their age. */
import { randomUUID } from 'node:crypto';
import { createLookAsker, readLook, startLookWorker } from '@khumbu/operations/driver-checks/driver-checks';
import { keysFor } from '@khumbu/operations/records/keys';
import { patientRedis } from '@khumbu/shared/runtime/redis';
import { parseStationsFile, profileFrom } from '@khumbu/shared/stations/stations-file';
import type { DriverCheck, StationDriver } from '@khumbu/station-drivers/port';
import { createCheckDriver } from '@khumbu/steps/station/check-driver';
import { awaitUntil } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import t from 'tap';

t.setTimeout(900_000);
const server = await startRedis({ dir: t.testdir() });
t.teardown(() => server.stop());
const redis = patientRedis(server.url, () => undefined);
t.teardown(() => redis.disconnect());

const FILE = parseStationsFile(JSON.stringify({ stations: { 'cs:1': { driver: 'simulated' } } }));
const RESULT: DriverCheck = { verbs: {} as DriverCheck['verbs'], findings: [], latencyMs: 3 };

function open(check: StationDriver['check']) {
  const keys = keysFor(`t${randomUUID()}`);
  const driver = { station: 'cs:1', check } as StationDriver;
  const deps = { directory: { profileOf: (station: string) => profileFrom(FILE, station) }, driverOf: () => driver };
  const asker = createLookAsker({ prompt: redis, patient: redis, keys });
  t.teardown(() => asker.close());
  const work = () => {
    const worker = startLookWorker({
      redis,
      keys,
      concurrency: 2,
      ...createCheckDriver(deps, async () => undefined),
      onError: () => undefined,
    });
    t.teardown(() => worker.stop());
    return worker;
  };
  const read = (station = 'cs:1') => readLook<DriverCheck>(redis, keys, station);
  const done = (station?: string) =>
    awaitUntil(async () => [await read(station)].find((look) => look && !look.running), 30_000, 'the look');
  return { asker, work, read, done, keys };
}

await t.test('one look for all who ask while it is under way', async (t) => {
  let looks = 0;
  const gate = new AbortController();
  const open_ = new Promise<void>((resolve) => gate.signal.addEventListener('abort', () => resolve()));
  const { asker, work, read, done, keys } = open(async () => {
    looks += 1;
    await open_;
    return RESULT;
  });
  t.equal(await read(), undefined);
  await Promise.all([asker.ask('cs:1'), asker.ask('cs:1')]);
  t.match(await read(), { running: true, result: undefined });
  work();
  await awaitUntil(() => looks === 1, 30_000, 'the look to begin');
  await asker.ask('cs:1');
  gate.abort();
  t.match(await done(), { running: false, result: RESULT });
  t.equal(looks, 1);
  t.ok(((await done())?.ageMs ?? -1) >= 0);
  t.ok((await redis.ttl(keys.driverCheck('cs:1'))) > 0, 'it is forgotten one day');
  await asker.ask('cs:1');
  await awaitUntil(() => looks === 2, 30_000, 'another look');
  t.match(await read(), { result: RESULT }, 'the last result is told meanwhile');
});

await t.test('a worker that ends in the middle: another one looks', async (t) => {
  let looks = 0;
  const { asker, work, done } = open(async (signal) => {
    looks += 1;
    if (looks > 1) return RESULT;
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  });
  await asker.ask('cs:1');
  const first = work();
  await awaitUntil(() => looks === 1, 30_000, 'the look to begin');
  await first.stop();
  await asker.ask('cs:1');
  work();
  t.match(await done(), { result: RESULT });
});

await t.test('drivers that throw, that do not tell, and stations nobody knows', async (t) => {
  const broken = open(async () => {
    throw new Error('it is none');
  });
  broken.work();
  await broken.asker.ask('cs:1');
  t.match(await broken.done(), { result: { findings: [{ outcome: 'missing', text: 'it is none' }] } });
  await broken.asker.ask('cs-2');
  t.match(await broken.done('cs-2'), { result: { verbs: { install: 'cannot' } } });
  const silent = open(undefined);
  silent.work();
  await silent.asker.ask('cs:1');
  t.match(await silent.done(), { result: { verbs: { install: 'unknown' } } });
});
