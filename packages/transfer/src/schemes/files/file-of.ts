/** The file that a location on a file server names. */
import { type FileLocation, isFileScheme } from '@khumbu/shared/locations/file-path';
import type { Location } from '@khumbu/shared/locations/location';
import { type Leg, TransferError } from '../../transfer-error.js';

const isPlaced = (location: Location): location is FileLocation =>
  isFileScheme(location.scheme) && 'path' in location && location.path !== undefined;

/** Throws `TransferError` for what is no file of such a server. */
export function fileOf(leg: Leg, location: Location): FileLocation {
  if (!isPlaced(location))
    throw new TransferError(
      leg,
      leg.direction === 'get' ? 'scheme_unsupported' : 'not_supported',
      `${location.scheme}: is no file server`,
    );
  if (location.path.name !== '') return location;
  const reason = leg.direction === 'get' ? 'location_refused' : 'location_unusable';
  throw new TransferError(leg, reason, 'the location names a folder, and no file in it');
}
