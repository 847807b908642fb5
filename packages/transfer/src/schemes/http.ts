/** `http` and `https`: downloads by GET with ranges, uploads by PUT. */
import type { HostLocation, Location } from '@khumbu/shared/locations/location';
import type { CreateTransport } from '../port.js';
import { type Leg, TransferError } from '../transfer-error.js';
import { HttpDownload } from './http/open.js';
import { httpPut } from './http/put.js';

function ofWeb(location: Location, direction: Leg['direction']): HostLocation {
  const { scheme } = location;
  if (scheme === 'http' || scheme === 'https') return location as HostLocation;
  const reason = direction === 'get' ? 'scheme_unsupported' : 'not_supported';
  throw new TransferError({ direction, scheme }, reason, `${scheme}: is not served over HTTP`);
}

export const createHttpTransport: CreateTransport = (context) => {
  const download = new HttpDownload(context);
  return {
    open: async (location, options) => download.open(ofWeb(location, 'get'), options),
    put: async (location, body, options) => httpPut(ofWeb(location, 'put'), body, { ...context, ...options }),
  };
};
