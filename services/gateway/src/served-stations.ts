/** Which stations nothing is done with although somebody means them to be served: for health, the log and the metrics. */
import type { StationDirectory } from '@khumbu/shared/stations/stations-file';

/** More would not be read. */
const NAMES_SHOWN = 10;

export const nameSome = (stations: readonly string[]): string => {
  const more = stations.length - NAMES_SHOWN;
  return `${stations.slice(0, NAMES_SHOWN).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
};

/** Listed in the stations file without a driver: as good as not listed. */
export const withoutDriver = ({
  configured,
  profileOf,
}: Pick<StationDirectory, 'configured' | 'profileOf'>): string[] =>
  configured().filter((station) => profileOf(station) === undefined);

export interface NotServed {
  /** Two stations use this identity: known to the leader alone. */
  readonly duplicates: readonly string[];
  readonly withoutDriver: readonly string[];
}

/** `ok`, or why nothing is done with which. Pure. */
export function describeNotServed({ duplicates, withoutDriver: driverless }: NotServed): string {
  const said = [
    ...(duplicates.length > 0 ? [`two stations use this identity: ${nameSome(duplicates)}`] : []),
    ...(driverless.length > 0 ? [`listed without a driver: ${nameSome(driverless)}`] : []),
  ];
  return said.length > 0 ? said.join('; ') : 'ok';
}
