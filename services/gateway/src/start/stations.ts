/** The stations file, and which stations nothing is done with although somebody means them to be served. */
import type { FileHealth } from '@khumbu/shared/runtime/file-health';
import type { Lifecycle } from '@khumbu/shared/runtime/lifecycle';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { openStationDirectory, type StationDirectory } from '@khumbu/shared/stations/stations-file';
import type { GatewayConfig } from '../config.js';

/** More would not be read. */
const NAMES_SHOWN = 10;

const nameSome = (stations: readonly string[]): string => {
  const more = stations.length - NAMES_SHOWN;
  return `${stations.slice(0, NAMES_SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
};

/** Listed in the stations file without a driver: as good as not listed. */
const withoutDriver = (directory: Pick<StationDirectory, 'configured' | 'profileOf'>): string[] =>
  directory.configured().filter((station) => directory.profileOf(station) === undefined);

/** `ok`, or why nothing is done with which. Pure. `duplicates`: two stations use them, as the leader alone knows. */
export function describeNotServed(duplicates: readonly string[], driverless: readonly string[]): string {
  const said = [
    ...(duplicates.length > 0 ? [`two stations use this identity: ${nameSome(duplicates)}`] : []),
    ...(driverless.length > 0 ? [`listed without a driver: ${nameSome(driverless)}`] : []),
  ];
  return said.length > 0 ? said.join('; ') : 'ok';
}

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
