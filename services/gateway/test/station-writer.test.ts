import { randomUUID } from 'node:crypto';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { createStore, type Store } from '@khumbu/operations/kinds/store';
import { readStationState, STATION_FIELDS } from '@khumbu/operations/stations/station-state';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { patientRedis } from '@khumbu/shared/runtime/redis';
import { awaitUntil } from '@khumbu/test-support/events';
import { startRedis } from '@khumbu/test-support/redis';
import t from 'tap';
import { NEVER_HEARD } from '../src/mqtt/liveness/presence.js';
import { createRegistry, type Registry } from '../src/mqtt/liveness/registry.js';
import type { Station } from '../src/mqtt/liveness/station.js';

const server = await startRedis({ dir: t.testdir() });
t.teardown(() => server.stop());
const redis = patientRedis(server.url, () => undefined);
t.teardown(() => redis.disconnect());

const communication = { heartbeat_period_ms: 5000, communication_check_period_s: 1, request_reply_timeout_s: 60 };
const heartbeat = (id: number): string => JSON.stringify({ id, at: id, steadyAt: id });

/** A leader that has known `cs-1` for long. `onCommit` comes before each of its commits. */
async function place(onCommit: (store: Store) => Promise<void> = async () => undefined) {
  const store = createStore(redis, randomUUID());
  const slow: Store = {
    ...store,
    commit: async (change) => {
      await onCommit(store);
      return store.commit(change);
    },
  };
  let leads = true;
  const registry = createRegistry(
    redis,
    slow,
    {
      isConfigured: () => true,
      maxUnconfigured: 10,
      messagesPerS: 200,
      standing: () => (leads ? 'leading' : 'standby'),
    },
    { now: () => momentOf(Date.now()), openedAt: 0 },
    createLogger('test', 'silent'),
  );
  const key = store.keys.station('cs-1');
  await redis.sadd(store.keys.stations, 'cs-1');
  await redis.hset(key, STATION_FIELDS.moduleId, 'cs-1', STATION_FIELDS.firstSeenAt, '1');
  await redis.hset(key, STATION_FIELDS.heartbeat, heartbeat(1));
  await registry.load();
  const state = async () => readStationState(await store.station('cs-1'));
  const entry = registry.get('cs-1') as Station;
  const silentFor = (ms: number): void => {
    const at = performance.now() - ms;
    entry.presence = { ...NEVER_HEARD, communication, heartbeatId: 2, heartbeatAt: at, heardAt: at };
    entry.dirty = true;
  };
  const lead = (now: boolean): void => {
    leads = now;
  };
  return { store, key, registry, entry, state, silentFor, lead };
}

/** Flush until it is so: a machine that is busy may not have stored it when a flush gives up waiting. */
const flushedUntil = (registry: Registry, isSo: () => Promise<boolean>, what: string): Promise<unknown> =>
  awaitUntil(
    async () => {
      await registry.flushSoon();
      return isSo();
    },
    5000,
    what,
  );

void t.test('what is stored of a station whose heartbeats stop and go on', async (t) => {
  const { registry, state, silentFor, entry } = await place();
  silentFor(50_000);
  await flushedUntil(registry, async () => typeof (await state()).awaySince === 'number', 'it to be found away');
  t.ok(entry.stored.away);
  silentFor(0);
  const isBack = async (): Promise<boolean> => (await state()).awaySince === undefined;
  t.ok(await flushedUntil(registry, isBack, 'it to be back'));
});

void t.test(
  'the first heartbeat of a boot is stored with the boot, not before: the next leader is to notice it',
  async (t) => {
    const { registry, state, silentFor, entry } = await place();
    silentFor(0);
    entry.bootsNoticed += 1;
    entry.learnedDialect = 'ocpp1.6';
    await flushedUntil(registry, async () => (await state()).learnedDialect === 'ocpp1.6', 'the rest to be stored');
    t.match(await state(), { heartbeat: { id: 1 } });
    entry.bootsCounted += 1;
    entry.dirty = true;
    t.ok(await flushedUntil(registry, async () => (await state()).heartbeat?.id === 2, 'the heartbeat to be stored'));
  },
);

void t.test('without the lease nothing is stored', async (t) => {
  const { registry, state, silentFor, entry, lead } = await place();
  lead(false);
  silentFor(50_000);
  await registry.flushSoon();
  await registry.storeSoon(entry);
  t.match(await state(), { awaySince: undefined, heartbeat: { id: 1 } });
  lead(true);
  const isMadeUp = async (): Promise<boolean> => typeof (await state()).awaySince === 'number';
  await flushedUntil(registry, isMadeUp, 'it to be made up for with the lease');
});

void t.test('a station that the next leader has heard is not found away by a late commit', async (t) => {
  const late = await place(async (store) => {
    await redis.hset(store.keys.station('cs-1'), STATION_FIELDS.heartbeat, heartbeat(9));
  });
  late.silentFor(50_000);
  await late.registry.flushSoon();
  t.equal((await late.state()).awaySince, undefined);
  t.notOk(late.entry.stored.away);
  t.same(await redis.xlen(late.store.keys.events), 0, 'nor is anybody told so');
});

void t.test('what an earlier leader has stored late is found', async (t) => {
  const { registry, state, silentFor, key } = await place();
  await redis.hset(key, STATION_FIELDS.awaySince, '5');
  silentFor(0);
  const isBack = async (): Promise<boolean> => (await state()).awaySince === undefined;
  t.ok(await flushedUntil(registry, isBack, 'it to be back'));
});
