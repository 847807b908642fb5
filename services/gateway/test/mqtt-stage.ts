/** What the tests of the MQTT service stand on: a Redis and a broker of their own, stations, and a look into the store. */
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import { createStore, type Store } from '@khumbu/operations/kinds/store';
import { type OutboxEntry, outboxEntry } from '@khumbu/operations/outbox/entry';
import { readStationState } from '@khumbu/operations/stations/station-state';
import { patientRedis } from '@khumbu/shared/runtime/redis';
import { awaitUntil } from '@khumbu/test-support/events';
import { type EverestClient, type EverestClientOptions, startEverestClient } from '@khumbu/test-support/everest-client';
import { startMosquitto } from '@khumbu/test-support/mosquitto';
import { startRedis } from '@khumbu/test-support/redis';
import type { Test } from 'tap';
import type { Depot, Gateway } from './gateway-process.js';

/** What a station tells of itself that waits for nothing long. */
export const PERIODS = { heartbeat_period_ms: 1000, communication_check_period_s: 1, request_reply_timeout_s: 60 };

/**
 * For one that beats far more often than it says: on a busy machine a second or two without a heartbeat is no silence, and so no
 * sign of another boot.
 */
export const LONG_PERIODS = { ...PERIODS, heartbeat_period_ms: 5000 };

export const said = (gateway: Gateway, text: string, ms = 60_000): Promise<unknown> =>
  awaitUntil(() => gateway.child.stdout().includes(text), ms, `the log line "${text}"`);

export async function setMqttStage(t: Test) {
  const dir = t.testdir();
  const redis = await startRedis({ dir: `${dir}/redis` });
  t.teardown(() => redis.stop());
  const broker = await startMosquitto({ dir: `${dir}/mosquitto` });
  t.teardown(() => broker.stop());
  const observer = patientRedis(redis.url, () => undefined);
  t.teardown(() => observer.disconnect());
  const storeOf = (place: Depot): Store => createStore(observer, place.name);
  const openRecords = async (place: Depot) => {
    const store = storeOf(place);
    return store.loadMany(await store.openIds());
  };

  /** `cs-1`, unless said otherwise. */
  const station = async (
    test: Test,
    place: Depot,
    options: Partial<EverestClientOptions> = {},
  ): Promise<EverestClient> => {
    const client = await startEverestClient({
      mqttUrl: broker.url,
      moduleId: 'cs-1',
      prefix: place.topicPrefix,
      ...options,
    });
    test.teardown(() => client.close(true));
    return client;
  };

  /** Firmware statuses for `cs-1`, by request id, as a worker would commit them. */
  const announce = async (
    place: Depot,
    statuses: readonly [number, string][],
    afterBoot?: OutboxEntry['afterBoot'],
  ): Promise<void> => {
    const store = storeOf(place);
    const entries = statuses.map(([id, status]) =>
      outboxEntry(
        'firmware_update_status',
        `o-${id}`,
        { firmware_update_status: status, request_id: id },
        momentOf(Date.now()),
        afterBoot,
      ),
    );
    await store.commit(store.transaction().enqueueStatus('cs-1', entries));
  };

  /**
   * `cs-1` beats once more, with this id, and no more until it is away since then. A machine that stands still finds it away before
   * it hears the last heartbeats, and then it is back for a moment.
   */
  const fallSilent = async (place: Depot, everest: EverestClient, lastId: number): Promise<void> => {
    everest.stopHeartbeats();
    await everest.publishRaw('heartbeat', String(lastId));
    const isAway = async (): Promise<boolean> => {
      const fields = await storeOf(place).station('cs-1');
      const { heartbeat } = readStationState(fields);
      return heartbeat?.id === lastId && Number(fields.awaySince ?? 0) > heartbeat.at;
    };
    await awaitUntil(isAway, 60_000, 'the station to be away');
  };

  const servers = { redisUrl: redis.url, mqttUrl: broker.url };
  return { redis, broker, observer, servers, storeOf, openRecords, station, announce, fallSilent };
}
