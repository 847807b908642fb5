/** The location policy as the first thing of every transfer: right before a connection, and for every redirect. */
import type { Location } from '@khumbu/shared/locations/location';
import type { LocationPolicy } from '@khumbu/shared/locations/policy';
import { type Leg, TransferError } from './transfer-error.js';

/** What the policy says of a location now. Throws `TransferError` `location_refused`. */
export async function checkedLocation(policy: LocationPolicy, text: string, leg: Leg): Promise<Location> {
  const check = await policy.checkNow(text);
  if (!check.ok) throw new TransferError(leg, 'location_refused', `${check.code}: ${check.reason}`);
  return check.location;
}
