/** The intake of this gateway, and the watch over workers that it refuses by. */
import { createIntake, type Intake } from '@khumbu/intake/intake';
import { createJudgeCertificate } from '@khumbu/intake/judge-certificate';
import { watchWorkers } from '@khumbu/operations/jobs/worker-beats';
import { createLocationPolicy } from '@khumbu/shared/locations/policy';
import { locationRules } from '@khumbu/shared/locations/settings';
import type { Lifecycle } from '@khumbu/shared/runtime/lifecycle';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { StationDirectory } from '@khumbu/shared/stations/stations-file';
import type { GatewayConfig } from '../config.js';
import type { GatewayMetrics } from '../metrics.js';
import type { Registry } from '../mqtt/liveness/registry.js';
import { createRateLimitedLog } from '../rate-limited-log.js';
import type { openCertificates } from './certificates.js';
import type { Connections } from './connections.js';

export interface IntakeParts {
  readonly connections: Connections;
  readonly directory: StationDirectory;
  readonly registry: Registry;
  readonly certificates: ReturnType<typeof openCertificates>;
  readonly metrics: GatewayMetrics;
}

export function openIntake(config: GatewayConfig, parts: IntakeParts, life: Lifecycle, log: Logger): Intake {
  const { connections, directory, registry, certificates, metrics } = parts;
  const { prompt, promptStore, jobs } = connections;
  const workers = watchWorkers({
    redis: prompt,
    keys: promptStore.keys,
    graceS: config.WORKERS_GONE_AFTER_S,
    onChange: (queue, abandoned) => {
      metrics.abandoned.labels(queue).set(abandoned ? 1 : 0);
      if (abandoned) log.error({ queue }, 'no worker takes jobs from this queue: what needs it is refused');
      else log.info({ queue }, 'this queue is worked on again');
    },
  });
  life.onStop('worker watch', () => workers.stop());
  const intake = createIntake({
    store: promptStore,
    redis: prompt,
    jobs,
    profileOf: (station) => directory.profileOf(station),
    isInConflict: (station) => registry.isDuplicated(station),
    locations: createLocationPolicy(locationRules(config)),
    judgeCertificate: createJudgeCertificate({
      judges: certificates.judges,
      now: certificates.wallNow,
      log: createRateLimitedLog(log),
      onJudged: (outcome) => metrics.certificates.labels(outcome).inc(),
    }),
    isAbandoned: workers.isAbandoned,
    archiveFormat: config.LOG_ARCHIVE_FORMAT,
    resetReservationMs: config.RESET_RESERVATION_S * 1000,
    now: connections.clock.now,
    redeliveryMs: config.MQTT_SESSION_EXPIRY_S * 1000,
    log,
  });
  life.onStop('intake', () => intake.close());
  return intake;
}
