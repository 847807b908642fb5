import type { Boots } from '@khumbu/intake/boots';
import type { Intake } from '@khumbu/intake/intake';
import { momentOf } from '@khumbu/operations/clock/depot-clock';
import type { Notifications } from '@khumbu/operations/records/notifications';
import { topicPrefix } from '@khumbu/shared/contract/topics';
import { freePort } from '@khumbu/shared/runtime/free-port';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { awaitUntil } from '@khumbu/test-support/events';
import t from 'tap';
import { createFrameRecorder } from '../src/frames/frame-recorder.js';
import { createGatewayMetrics } from '../src/metrics.js';
import type { Registry } from '../src/mqtt/liveness/registry.js';
import { type MqttServiceDeps, openMqttService } from '../src/mqtt/mqtt-service.js';

const now = () => momentOf(Date.now());
const timers = (): number => process.getActiveResourcesInfo().filter((what) => what === 'Timeout').length;

void t.test('a service that cannot be opened leaves nothing running', async (t) => {
  const nobody = `mqtt://127.0.0.1:${await freePort()}`;
  const log = createLogger('test', 'silent');
  const deps = (load: () => Promise<void>, leads: boolean): MqttServiceDeps => ({
    mqtt: {
      url: nobody,
      clientId: 'gateway',
      sessionExpiryS: 10,
      keepAliveS: 5,
      connectTimeoutMs: 2000,
      standing: () => (leads ? 'leading' : 'refusing'),
    },
    depot: 'khumbu',
    backlogMs: 0,
    prefix: topicPrefix(''),
    intake: {} as Intake,
    registry: { load } as Registry,
    boots: {} as Boots,
    directory: { profileOf: () => undefined, configured: () => [] },
    store: { stationsWithOutbox: async () => [] } as unknown as MqttServiceDeps['store'],
    notifications: {} as Notifications,
    marks: { set: async () => true, remove: async () => undefined },
    replyCache: { find: () => undefined, remember: () => undefined, forget: () => undefined },
    canStore: () => true,
    recorder: createFrameRecorder(topicPrefix(''), now),
    now,
    metrics: createGatewayMetrics(),
    messagesPerS: 200,
    log,
  });
  const loaded = async (): Promise<void> => undefined;
  const notLoaded = async (): Promise<void> => {
    throw new Error('Redis is out');
  };
  const before = timers();
  await t.rejects(openMqttService(deps(notLoaded, true)), { message: 'Redis is out' });
  await t.rejects(openMqttService(deps(loaded, false)), { code: 'NOT_LEADING' });
  await t.rejects(openMqttService(deps(loaded, true)), { code: 'MQTT_UNREACHABLE' });
  await awaitUntil(
    () => timers() <= before,
    3000,
    () => `no timer more than ${before}: ${timers()}`,
  );
});
