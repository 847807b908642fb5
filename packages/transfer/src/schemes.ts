/** The schemes, one file each. They are loaded when they are needed: each thread that fetches would load all of them. */
import type { Location, LocationScheme } from '@khumbu/shared/locations/location';
import type { CreateTransport, Direction, TransferContext, Transport } from './port.js';
import { TransferError } from './transfer-error.js';

const http = async (): Promise<CreateTransport> => (await import('./schemes/http.js')).createHttpTransport;

export const SCHEMES: Readonly<Partial<Record<LocationScheme, () => Promise<CreateTransport>>>> = {
  https: http,
  http,
  s3: async () => (await import('./schemes/s3.js')).createS3Transport,
};

/** The transport for one try of a transfer. Throws `TransferError` `scheme_unsupported`, or `not_supported` of an upload. */
export async function transportFor(
  { scheme }: Pick<Location, 'scheme'>,
  direction: Direction,
  context: TransferContext,
): Promise<Transport> {
  const load = SCHEMES[scheme];
  if (load) return (await load())(context);
  const reason = direction === 'get' ? 'scheme_unsupported' : 'not_supported';
  throw new TransferError({ direction, scheme }, reason, `${scheme}: is not supported`);
}
