import type { WorkerParts } from '@khumbu/operations/jobs/worker-service';
import { requireProfile, type StationProfile } from '@khumbu/shared/stations/stations-file';
import type { StationDriver } from '@khumbu/station-drivers/port';

export interface StepDeps extends Pick<WorkerParts, 'store' | 'directory' | 'now'> {
  readonly driverOf: (profile: StationProfile) => StationDriver;
}

export interface DriverDeps extends Pick<StepDeps, 'driverOf'> {
  readonly directory: Pick<StepDeps['directory'], 'profileOf'>;
}

/** The driver of a station. Rejects with `STATION_NOT_CONFIGURED`. */
export const requireDriver = ({ directory, driverOf }: DriverDeps, station: string): StationDriver =>
  driverOf(requireProfile(directory.profileOf(station)));
