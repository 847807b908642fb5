/** The location policy as the first thing of every transfer: right before a connection, and for every redirect. */
import type { Location } from '@khumbu/shared/locations/location';
import type { LocationPolicy, LocationRefusal } from '@khumbu/shared/locations/policy';
import type { LocationUse } from '@khumbu/shared/locations/store-areas';
import { type Leg, TransferError } from './transfer-error.js';

const UNREADABLE: readonly LocationRefusal[] = ['LOCATION_MALFORMED', 'LOCATION_SCHEME_UNKNOWN'];

/**
 * What the policy says of a location now, and of this use of it. Throws `TransferError`: `location_refused`, of an upload
 * that nobody can read `location_unusable`.
 */
export async function checkedLocation(
  policy: LocationPolicy,
  text: string,
  leg: Leg,
  use?: LocationUse,
): Promise<Location> {
  const check = await policy.checkNow(text, use);
  if (check.ok) return check.location;
  if (leg.direction === 'get') throw new TransferError(leg, 'location_refused', `${check.code}: ${check.reason}`);
  const reason = UNREADABLE.includes(check.code) ? 'location_unusable' : 'location_refused';
  throw new TransferError(leg, reason, check.reason);
}
