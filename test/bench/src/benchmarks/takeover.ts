/**
 * How long no status reaches the stations when the leading gateway is killed and another one stands by. A station that
 * tolerates five seconds of silence must not miss a communication check meanwhile.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Depot, startDepot } from '@khumbu/chaos/depot/depot';
import { createStore } from '@khumbu/operations/kinds/store';
import { awaitUntil } from '@khumbu/test-support/events';
import { type EverestClient, startEverestClient } from '@khumbu/test-support/everest-client';
import { acceptedOperation, doneOperation } from '../load/operations.js';
import type { Benchmark } from '../row.js';

const PERIOD_S = 5;
const STATUS_EVERY_MS = 50;
const SETTLE_MS = 3000;
const PATIENCE_MS = 20_000;

/** A worker that always has a status to send, until it is stopped. */
function keepTelling(depot: Depot, station: string): () => Promise<void> {
  const store = createStore(depot.redis, 'khumbu');
  let stopped = false;
  const telling = (async () => {
    for (let id = 1; !stopped; id++) {
      const record = acceptedOperation(station, id);
      const end = doneOperation(record);
      await store.commit(store.transaction().put(end.record).enqueueStatus(station, end.statuses));
      await pause(STATUS_EVERY_MS);
    }
  })();
  return () => {
    stopped = true;
    return telling;
  };
}

const timesOf = (client: EverestClient, leaf: string): number[] =>
  client.messages.items.filter((message) => message.leaf === leaf).map(({ atMs }) => atMs);

/** The longest silence between two times, in ms. */
const longestGap = (times: readonly number[]): number =>
  Math.max(0, ...times.map((at, index) => (index === 0 ? 0 : at - (times[index - 1] as number))));

export const takeover: Benchmark<'takeover'> = {
  rows: [
    {
      name: 'takeover',
      unit: 's',
      baselineName: '-',
      wanted: '< 4 s, no check missed',
      meets: ({ ours }) => ours !== null && ours < 4,
    },
  ],
  async measure(context) {
    const isShort = context.effort === 'short';
    const depot = await startDepot(context, {
      dir: join(context.dir, 'depot'),
      services: ['gateway-1', 'gateway-2'],
      proxies: false,
    });
    await depot.leader();
    const station = await startEverestClient({
      mqttUrl: depot.mqttUrl,
      moduleId: 'station-0',
      heartbeatMs: 1000,
      discovery: { heartbeat_period_ms: 1000, communication_check_period_s: PERIOD_S, request_reply_timeout_s: 60 },
    });
    context.teardown(() => station.close());
    const stopTelling = keepTelling(depot, 'station-0');
    const statuses = (): number[] => timesOf(station, 'configure_network_status');
    const ours: number[] = [];
    for (let round = 0; round < (isShort ? 1 : 7); round++) {
      // Another moment in the life of the lease each time.
      await pause(isShort ? 1000 : SETTLE_MS + round * 130);
      await awaitUntil(() => statuses().length > 0, PATIENCE_MS, 'a status to reach the station');
      const leader = depot.process(await depot.leader());
      const killedAt = performance.now();
      await leader.stop('SIGKILL');
      const deadAt = performance.now();
      const again = await awaitUntil(
        () => statuses().find((at) => at > deadAt),
        PATIENCE_MS,
        'statuses after the death of the leader',
      );
      ours.push((again - killedAt) / 1000);
      context.say(`statuses went on after ${((again - killedAt) / 1000).toFixed(2)} s`);
      await leader.start();
    }
    await stopTelling();
    const silence = longestGap(timesOf(station, 'communication_check')) / 1000;
    if (!isShort && silence >= PERIOD_S)
      throw new Error(`a communication check was missed: silent for ${silence.toFixed(1)} s`);
    return { takeover: { ours, notes: [`longest silence between communication checks: ${silence.toFixed(2)} s`] } };
  },
};
