/** Which driver serves which station: the one place that knows them all. */
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { createSimulatedDriver } from './simulated/simulated-driver.js';
import type { StationDriver } from './station-driver.js';

export interface DriverOptions {
  /** Where simulated chargers live; shared by all workers and the station simulator. */
  readonly dataDir: string;
}

const drivers: Readonly<
  Record<StationProfile['driver'], (profile: StationProfile, options: DriverOptions) => StationDriver>
> = {
  simulated: ({ station, simulated, interfaces }, { dataDir }) =>
    createSimulatedDriver({ station, settings: simulated, dataDir, ...(interfaces ? { interfaces } : {}) }),
};

/** The driver of a configured station. Cheap, and holds nothing open: make one wherever one is needed. */
export const createDriver = (profile: StationProfile, options: DriverOptions): StationDriver =>
  drivers[profile.driver](profile, options);
