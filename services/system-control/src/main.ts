/** system-control: acts on a station at once: reset, system time, network. */
import { startLookWorker } from '@khumbu/operations/driver-checks/driver-checks';
import { followRedactionKey } from '@khumbu/operations/files/redaction-key';
import { runWorkerService } from '@khumbu/operations/jobs/worker-service';
import { redisTimeMs } from '@khumbu/operations/records/redis-time';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import { createSshPool } from '@khumbu/station-drivers/transports/ssh/ssh-transport';
import { askCertificateStore } from '@khumbu/steps/certificate-store';
import { createCheckDriver } from '@khumbu/steps/station/check-driver';
import { createConfigureNetwork } from '@khumbu/steps/station/configure-network';
import { createKeepObserved } from '@khumbu/steps/station/keep-observed';
import { createReset } from '@khumbu/steps/station/reset';
import { createSetSystemTime } from '@khumbu/steps/station/set-system-time';
import type { StepDeps } from '@khumbu/steps/station/step-deps';
import { SystemControlSettings } from './config.js';

runWorkerService(
  'system-control',
  () => loadConfig(SystemControlSettings, process.env),
  ({ config, life, log }) =>
    async ({ store, directory, redis, notifications, now, onLogin }) => {
      const connections = createSshPool({ onLogin });
      const pseudonymKey = await followRedactionKey({ redis, keys: store.keys, life, log });
      const drivers = { dataDir: config.SIMULATED_STATIONS_DIR, connections };
      const deps: StepDeps = {
        store,
        directory,
        driverOf: (profile) => createDriver(profile, { ...drivers, redactionKey: pseudonymKey() }),
        now,
      };
      const looks = startLookWorker({
        redis,
        keys: store.keys,
        concurrency: config.ACTIONS_AT_ONCE,
        ...createCheckDriver(deps, (station, signal) => askCertificateStore(store, station, signal)),
        onError: (error) => log.warn({ err: error }, 'a look at a station'),
      });
      life.onStop('looks at stations', () => looks.stop());
      const stopping = new AbortController();
      life.onStop('looks at hosts', () => stopping.abort());
      const observed = createKeepObserved({ ...deps, redis, log, everyMs: config.OBSERVE_INTERVAL_S * 1000 });
      notifications.on('observe', (station) => void observed.look(station, stopping.signal));
      void observed.run(stopping.signal);
      const toleranceMs = config.CLOCK_TOLERANCE_MS;
      return [
        {
          queue: 'system-control',
          concurrency: config.ACTIONS_AT_ONCE,
          steps: {
            reset: createReset(deps),
            'set-system-time': createSetSystemTime({ ...deps, redisNow: () => redisTimeMs(redis), toleranceMs }),
            'configure-network': createConfigureNetwork(deps),
          },
        },
      ];
    },
);
