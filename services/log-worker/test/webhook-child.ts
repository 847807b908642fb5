/** Webhooks as a log-worker runs them, to be killed at any moment. REDIS_URL and KEY_PREFIX from the environment. */
import { keysFor } from '@khumbu/operations/records/keys';
import { subscribeNotifications } from '@khumbu/operations/records/notifications';
import { createLogger } from '@khumbu/shared/runtime/logger';
import { patientRedis } from '@khumbu/shared/runtime/redis';
import { runWebhooks } from '../src/webhooks/run-webhooks.js';
import { loopbackPolicy } from './webhook-policy.js';

const { REDIS_URL = '', KEY_PREFIX = '' } = process.env;
const keys = keysFor(KEY_PREFIX);
const open = () => patientRedis(REDIS_URL, () => undefined);
runWebhooks({
  config: {
    WEBHOOK_TRIES: 20,
    WEBHOOK_RETRY_INTERVAL_MS: 20,
    WEBHOOK_TIMEOUT_MS: 20_000,
    WEBHOOKS_AT_ONCE: 16,
    MAX_RETRY_AFTER_S: 900,
    JOB_LOCK_MS: 2000,
  },
  redis: open(),
  waiting: open(),
  keys,
  notifications: await subscribeNotifications(open(), keys),
  directory: { profileOf: () => undefined },
  context: () => ({ policy: loopbackPolicy() }),
  now: Date.now,
  log: createLogger('webhooks', 'warn'),
});
process.stdout.write('begun\n');
