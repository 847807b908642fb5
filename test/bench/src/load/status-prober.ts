/** A worker and its station in one process, so that one clock measures how long a status takes between them. */
import { createStore, type Store } from '@khumbu/operations/kinds/store';
import { patientRedis } from '@khumbu/shared/runtime/redis';
import { within } from '@khumbu/test-support/events';
import type { MqttClient } from 'mqtt';
import { connectMqtt } from './mqtt-client.js';
import { acceptedOperation, doneOperation } from './operations.js';
import { serveCalls } from './remote.js';

export interface ProberOptions {
  readonly url: string;
  readonly redisUrl: string;
  readonly station: string;
}

const HEARD_MS = 5000;
let store: Store;
let station = '';
let listener: MqttClient;
let publisher: MqttClient;
let requestId = 0;
const waiting = new Map<number, (at: number) => void>();

const heard = (id: number): Promise<number> =>
  within(new Promise<number>((resolve) => waiting.set(id, resolve)), HEARD_MS, `status ${id}`);
const topic = (): string => `everest_api/1/system/${station}/m2e/configure_network_status`;

serveCalls({
  async start(options: ProberOptions) {
    station = options.station;
    store = createStore(
      patientRedis(options.redisUrl, () => undefined),
      'khumbu',
    );
    listener = await connectMqtt(options.url);
    publisher = await connectMqtt(options.url);
    listener.on('message', (_topic, payload) => {
      const at = performance.now();
      const { request_id: id } = JSON.parse(payload.toString()) as { request_id: number };
      waiting.get(id)?.(at);
      waiting.delete(id);
    });
    await listener.subscribeAsync([topic(), `bare/${topic()}`], { qos: 0 });
    await publisher.publishAsync(`everest_api/1/system/${station}/e2m/heartbeat`, '0', { qos: 2 });
  },

  /** One status after the other. Milliseconds from the beginning of the worker's commit to its arrival. */
  async commits(count: number): Promise<number[]> {
    const all: number[] = [];
    for (let n = 0; n < count; n++) {
      const record = acceptedOperation(station, ++requestId);
      await store.commit(store.transaction().put(record));
      const end = doneOperation({ ...record, version: 1 });
      const arrives = heard(requestId);
      const began = performance.now();
      await store.commit(store.transaction().put(end.record).enqueueStatus(station, end.statuses));
      all.push((await arrives) - began);
    }
    return all;
  },

  /** The same status, published at once. */
  async publishes(count: number): Promise<number[]> {
    const all: number[] = [];
    for (let n = 0; n < count; n++) {
      const record = acceptedOperation(station, ++requestId);
      const payload = JSON.stringify(doneOperation({ ...record, version: 1 }).statuses[0]?.payload);
      const arrives = heard(requestId);
      const began = performance.now();
      await publisher.publishAsync(`bare/${topic()}`, payload, { qos: 1 });
      all.push((await arrives) - began);
    }
    return all;
  },
});
