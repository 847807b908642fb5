/** Which driver serves which station: the one place that knows them all. */
import { rulesForTexts } from '@khumbu/log-redaction/settings';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { packagedDriver } from './packaged-driver.js';
import type { StationDriver } from './port.js';
import { createSimulatedDriver } from './simulated/simulated-driver.js';
import { createRealDriver } from './station/real-driver.js';
import { KEY_OF_PROCESS, stationText } from './station-text.js';
import { createSshPool, type SshPool } from './transports/ssh/ssh-transport.js';

export interface DriverOptions {
  /** Where simulated chargers live; shared by all workers and the station simulator. */
  readonly dataDir: string;
  /** Connections to stations; default: those that all drivers of the process share. */
  readonly connections?: SshPool;
  /**
   * The depot's key of pseudonyms, for what stations say. `undefined` where there is no depot: then it is one of this process, and what
   * is said cannot be compared with logs.
   */
  readonly redactionKey: string | undefined;
}

let shared: SshPool | undefined;
const sharedConnections = (): SshPool => {
  shared ??= createSshPool();
  return shared;
};

/** The driver of a configured station. Cheap: make one wherever one is needed. What is open is shared and closes by itself. */
export function createDriver(profile: StationProfile, options: DriverOptions): StationDriver {
  const { station, simulated, interfaces, driverEntry } = profile;
  if (!driverEntry)
    return createSimulatedDriver({
      station,
      settings: simulated,
      dataDir: options.dataDir,
      ...(interfaces ? { interfaces } : {}),
    });
  const texts = stationText(rulesForTexts(profile), options.redactionKey ?? KEY_OF_PROCESS);
  if ('package' in driverEntry) return packagedDriver(profile, driverEntry, texts);
  return createRealDriver(station, driverEntry, options.connections ?? sharedConnections(), texts);
}
