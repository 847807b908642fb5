/** The link to the world, as this worker uses it: what keeps downloads, and the meter that its transfers pass. */
import type { ArtifactRecords } from '@khumbu/operations/artifacts/artifact-records';
import { broughtKey } from '@khumbu/operations/artifacts/brought-key';
import type { RetrySettings } from '@khumbu/operations/jobs/retry-pause';
import type { WorkerParts } from '@khumbu/operations/jobs/worker-service';
import type { WanRules } from '@khumbu/operations/wan/settings';
import { openWanMeter } from '@khumbu/operations/wan/wan-meter';
import { createWanStore } from '@khumbu/operations/wan/wan-store';
import type { IgnoredParameters } from '@khumbu/shared/locations/ignored-parameters';
import type { Lifecycle } from '@khumbu/shared/runtime/lifecycle';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { createDownloadGate } from '@khumbu/steps/firmware-update/download-gate';
import { startWaking } from '@khumbu/steps/firmware-update/wake-held';

interface Parts extends Pick<WorkerParts, 'redis' | 'store' | 'jobs' | 'notifications' | 'now'> {
  readonly artifacts: Pick<ArtifactRecords, 'broughtFor' | 'broughtLocations'>;
  readonly ignored: IgnoredParameters;
}

/** Stops with the worker. */
export function openWan(
  { redis, store, jobs, notifications, now, artifacts, ignored }: Parts,
  rules: WanRules,
  retries: RetrySettings,
  life: Lifecycle,
  log: Logger,
) {
  const { keys } = store;
  const wan = createWanStore(redis, keys, rules, now);
  const meter = openWanMeter({ redis, keys, now }, wan, rules, log);
  life.onStop('bytes over the WAN', () => meter.stop());
  const waking = startWaking({ store, jobs, now, wan, artifacts, notifications, log });
  life.onStop('waiting downloads', () => waking.stop());
  const isHere = async (location: string): Promise<boolean> =>
    (await artifacts.broughtFor(broughtKey(location, ignored))) !== undefined;
  return { gate: createDownloadGate({ wan, rules, retries, isHere }), meter };
}
