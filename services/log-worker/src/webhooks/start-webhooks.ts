/** Webhooks as part of the log-worker: by its policy, proxy and authorities, until it stops. */
import type { WorkerParts, WorkerProcess } from '@khumbu/operations/jobs/worker-service';
import { userAgentOf } from '@khumbu/shared/http/user-agent';
import type { LocationPolicy } from '@khumbu/shared/locations/policy';
import { patientRedis } from '@khumbu/shared/runtime/redis';
import { proxyRules } from '@khumbu/transfer/http/forward-proxy';
import type { LogWorkerConfig } from '../config.js';
import { runWebhooks } from './run-webhooks.js';

export function startWebhooks(
  { config, life, log }: WorkerProcess<LogWorkerConfig>,
  {
    redis,
    store,
    notifications,
    directory,
    now,
  }: Pick<WorkerParts, 'redis' | 'store' | 'notifications' | 'directory' | 'now'>,
  policy: LocationPolicy,
  ca: (() => string) | undefined,
): void {
  const webhooks = runWebhooks({
    config,
    redis,
    waiting: patientRedis(config.REDIS_URL, (error) => log.debug({ err: error }, 'Redis connection')),
    keys: store.keys,
    notifications,
    directory,
    context: () => ({ policy, proxy: proxyRules(config), ca: ca?.(), userAgent: userAgentOf(config) }),
    now: () => now().wall,
    log,
  });
  life.onStop('webhooks', () => webhooks.stop());
}
