/** The link to the world, as this worker uses it: what keeps downloads, and the meter that its transfers pass. */
import type { WorkerParts } from '@khumbu/operations/jobs/worker-service';
import type { WanRules } from '@khumbu/operations/wan/settings';
import { openWanMeter } from '@khumbu/operations/wan/wan-meter';
import { createWanStore } from '@khumbu/operations/wan/wan-store';
import type { Lifecycle } from '@khumbu/shared/runtime/lifecycle';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { createDownloadGate } from '@khumbu/steps/firmware-update/download-gate';
import { startWaking } from '@khumbu/steps/firmware-update/wake-held';

type Parts = Pick<WorkerParts, 'redis' | 'store' | 'jobs' | 'notifications' | 'now'>;

/** Stops with the worker. */
export function openWan(
  { redis, store, jobs, notifications, now }: Parts,
  rules: WanRules,
  maxRetryAfterS: number,
  life: Lifecycle,
  log: Logger,
) {
  const { keys } = store;
  const wan = createWanStore(redis, keys, rules, now);
  const meter = openWanMeter({ redis, keys, now }, wan, rules, log);
  life.onStop('bytes over the WAN', () => meter.stop());
  const waking = startWaking({ store, jobs, now, wan, notifications, log });
  life.onStop('waiting downloads', () => waking.stop());
  return { gate: createDownloadGate({ wan, rules, maxRetryAfterS }), meter };
}
