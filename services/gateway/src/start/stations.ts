/** The stations file, and which of its stations nothing is done with. */
import type { FileHealth } from '@khumbu/shared/runtime/file-health';
import type { Lifecycle } from '@khumbu/shared/runtime/lifecycle';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { openStationDirectory } from '@khumbu/shared/stations/stations-file';
import type { GatewayConfig } from '../config.js';
import { nameSome, withoutDriver } from '../served-stations.js';

export function openStations(config: GatewayConfig, fileHealth: FileHealth, life: Lifecycle, log: Logger) {
  let driverless: readonly string[] = [];
  const lookForDrivers = (): void => {
    driverless = withoutDriver(directory);
    if (driverless.length > 0)
      log.warn({ stations: nameSome(driverless) }, 'listed without a driver: nothing is done with these stations');
  };
  const directory = openStationDirectory(config.STATIONS_FILE, fileHealth, lookForDrivers);
  life.onStop('stations file', () => directory.close());
  lookForDrivers();
  return { directory, driverless: (): readonly string[] => driverless };
}
