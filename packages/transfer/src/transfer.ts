/** Transfers as the workers begin them: judged by the location policy first, then left to the transport of the scheme. */
import type { Location } from '@khumbu/shared/locations/location';
import { checkedLocation } from './checked-location.js';
import type { Brought, Opened, OpenOptions, PutOptions, TransferContext, Transport, UploadBody } from './port.js';
import { transportFor } from './schemes.js';

/**
 * One try to fetch a location: each call asks for its content once more, as `Transport.open` does. The policy judges it each
 * time. Throws `TransferError`, or the signal's reason.
 */
export function createDownload(location: string, context: TransferContext): (options: OpenOptions) => Promise<Opened> {
  let transport: Transport | undefined;
  return async (options) => {
    options.signal.throwIfAborted();
    const checked = await checkedLocation(context.policy, location, { direction: 'get', scheme: 'https' });
    transport ??= await transportFor(checked, context);
    return transport.open(checked, options);
  };
}

/** One try to bring a body to a location that the policy has just allowed for this use. As `Transport.put`. */
export async function bringTo(
  location: Location,
  body: UploadBody,
  options: PutOptions & { readonly context: TransferContext },
): Promise<Brought> {
  const { context, ...put } = options;
  put.signal.throwIfAborted();
  return (await transportFor(location, context)).put(location, body, put);
}
