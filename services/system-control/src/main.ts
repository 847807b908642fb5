/** system-control: acts on a station at once: reset, system time, network. */
import { runWorkerService } from '@khumbu/operations/jobs/worker-service';
import type { ConfigureNetworkRecord } from '@khumbu/operations/kinds/configure-network/record';
import type { ResetRecord } from '@khumbu/operations/kinds/reset/record';
import type { SystemTimeRecord } from '@khumbu/operations/kinds/set-system-time/record';
import { redisTimeMs } from '@khumbu/operations/records/redis-time';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import { SystemControlSettings } from './config.js';
import { createConfigureNetwork } from './steps/configure-network.js';
import { createReset } from './steps/reset.js';
import { createSetSystemTime } from './steps/set-system-time.js';
import type { StepDeps } from './steps/step-deps.js';

runWorkerService(
  'system-control',
  () => loadConfig(SystemControlSettings, process.env),
  ({ config }) =>
    ({ store, directory, redis, now }) => {
      const deps: StepDeps = {
        store,
        directory,
        driverOf: (profile) => createDriver(profile, { dataDir: config.SIMULATED_STATIONS_DIR }),
        now,
      };
      const reset = createReset(deps);
      const toleranceMs = config.CLOCK_TOLERANCE_MS;
      const setSystemTime = createSetSystemTime({ ...deps, redisNow: () => redisTimeMs(redis), toleranceMs });
      const configureNetwork = createConfigureNetwork(deps);
      return [
        {
          queue: 'system-control',
          concurrency: config.ACTIONS_AT_ONCE,
          steps: {
            reset: (record, context) => reset(record as ResetRecord, context),
            'set-system-time': (record, context) => setSystemTime(record as SystemTimeRecord, context),
            'configure-network': (record, context) => configureNetwork(record as ConfigureNetworkRecord, context),
          },
        },
      ];
    },
);
