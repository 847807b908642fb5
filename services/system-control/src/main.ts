/** system-control: acts on a station at once: reset, system time, network. */
import { runWorkerService } from '@khumbu/operations/jobs/worker-service';
import type { ConfigureNetworkRecord } from '@khumbu/operations/kinds/configure-network/record';
import type { ResetRecord } from '@khumbu/operations/kinds/reset/record';
import type { SystemTimeRecord } from '@khumbu/operations/kinds/set-system-time/record';
import { redisTimeMs } from '@khumbu/operations/records/redis-time';
import { loadConfig } from '@khumbu/shared/runtime/config';
import { createDriver } from '@khumbu/station-drivers/create-driver';
import { createConfigureNetwork } from '@khumbu/steps/station/configure-network';
import { createReset } from '@khumbu/steps/station/reset';
import { createSetSystemTime } from '@khumbu/steps/station/set-system-time';
import type { StepDeps } from '@khumbu/steps/station/step-deps';
import { SystemControlSettings } from './config.js';

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
