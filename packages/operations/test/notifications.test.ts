import { subscribeNotifications } from '@khumbu/operations/records/notifications';
import { collector } from '@khumbu/test-support/events';
import { Redis } from 'ioredis';
import t from 'tap';
import { entry, fresh, redis, server } from './store-stage.js';

void t.test('notifications reach those who listen', async (t) => {
  const { store, prefix } = fresh();
  const notifications = await subscribeNotifications(new Redis(server.url), store.keys);
  t.teardown(() => notifications.close());
  const heard = collector<string>();
  const off = notifications.on('cancel', (id) => heard.push(`cancel ${id}`));
  notifications.on('outbox', (station) => heard.push(`outbox ${station}`));
  await store.commit(
    store
      .transaction()
      .notifyCancel('op')
      .enqueueStatus('cp 1', [entry('x')]),
  );
  await heard.awaitAll((all) => all.length === 2, 5000, 'both notifications');
  off();
  await redis.publish(`${prefix}:hints`, 'nonsense');
  await store.commit(
    store
      .transaction()
      .notifyCancel('op')
      .enqueueStatus('cp2', [entry('x')]),
  );
  t.same(await heard.awaitAll((all) => all.length === 3, 5000, 'the last notification'), [
    'cancel op',
    'outbox cp 1',
    'outbox cp2',
  ]);
});
