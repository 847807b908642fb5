import type { WorkerParts } from '@khumbu/operations/jobs/worker-service';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { StationDriver } from '@khumbu/station-drivers/station-driver';

export interface StepDeps extends Pick<WorkerParts, 'store' | 'directory' | 'now'> {
  readonly driverOf: (profile: StationProfile) => StationDriver;
}

/** The driver of a station, or `STATION_NOT_CONFIGURED`: it was taken out of the stations file meanwhile. */
export function requireDriver({ directory, driverOf }: StepDeps, station: string): StationDriver {
  const profile = directory.profileOf(station);
  if (!profile) throw new CodedError('STATION_NOT_CONFIGURED', 'the station is not in the stations file any more');
  return driverOf(profile);
}
