/** What hosts testify is kept in the store: when they are looked at, by one worker, and what follows from a failure. */
import { randomUUID } from 'node:crypto';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { createStore } from '@khumbu/operations/kinds/store';
import { readStation } from '@khumbu/operations/stations/station-state';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { parseStationsFile, profileFrom } from '@khumbu/shared/stations/stations-file';
import type { StationDriver, StationEvidence } from '@khumbu/station-drivers/port';
import { createKeepObserved } from '@khumbu/steps/station/keep-observed';
import { openRedis } from '@khumbu/test-support/redis';
import t from 'tap';

const { redis } = await openRedis(t, t.testdir({}));
const { signal } = new AbortController();
const REAL = { transport: 'local', state_dir: '/s', profile: 'command', command: { install: ['i'], evidence: ['e'] } };
const FILE = parseStationsFile(
  JSON.stringify({ stations: { gate: { driver: REAL }, bench: { driver: 'simulated' } } }),
);

function stage() {
  const store = createStore(redis, `o${randomUUID()}`);
  const directory = {
    profileOf: (station: string) => profileFrom(FILE, station),
    configured: () => ['gate', 'bench'],
    close: () => undefined,
  };
  let looks = 0;
  let answer: () => Promise<StationEvidence> = async () => ({ bootId: 'a', healthy: true, busy: false, slot: 'A' });
  const driver = { observe: () => answer() } as Partial<StationDriver> as StationDriver;
  const driverOf = () => {
    looks += 1;
    return driver;
  };
  const worker = () =>
    createKeepObserved({
      store,
      directory,
      driverOf,
      redis,
      now: () => momentOf(Date.now()),
      log: { debug: () => undefined },
      everyMs: 3600_000,
    });
  return {
    store,
    worker,
    looks: () => looks,
    answers: (next: () => Promise<StationEvidence>) => {
      answer = next;
    },
    observed: async () => (await readStation(store, 'gate')).observed,
    changes: async () =>
      (await redis.xrange(store.keys.events, '-', '+')).map(([, fields]) => JSON.parse(fields.at(-1) ?? '{}').change),
  };
}

await t.test('a real station is looked at once in each boot of EVerest, by one worker', async (t) => {
  const { store, worker, looks, observed, changes } = stage();
  const [one, other] = [worker(), worker()];
  await Promise.all([one.round(signal), other.round(signal)]);
  t.equal(looks(), 1, 'and a simulated one is not');
  t.match(await observed(), { bootId: 'a', slot: 'A', bootEpoch: 0 });
  await one.round(signal);
  await other.round(signal);
  t.equal(looks(), 1, 'nothing has changed');
  await store.commit(store.transaction().setStation('gate', { bootEpoch: '1' }));
  await one.round(signal);
  t.equal(looks(), 2);
  await other.look('gate', signal);
  t.equal(looks(), 3, 'when somebody asks');
  await Promise.all([one.look('gate', signal), other.look('gate', signal)]);
  t.equal(looks(), 4, 'which all workers hear');
  t.same(await changes(), ['firmware'], 'it is told once');
});

await t.test('one that cannot be reached keeps what it said last, and is left alone for a while', async (t) => {
  const { store, worker, looks, answers, observed } = stage();
  const one = worker();
  await one.round(signal);
  const before = await observed();
  answers(async () => {
    throw new CodedError('STATION_UNREACHABLE', 'nobody there');
  });
  await store.commit(store.transaction().setStation('gate', { bootEpoch: '1' }));
  await one.round(signal);
  await one.round(signal);
  t.equal(looks(), 2, 'not again at once');
  t.same(await observed(), before);
  t.equal(await redis.exists(store.keys.observing('gate')), 0, 'others may look');
});
