/** Resets: whether one may follow, and what a request for one means. Pure. OCPP 2.0.1 B11, B12. */
import { isInstalling } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { ResetRecord } from '@khumbu/operations/kinds/reset/record';
import type { ResetRequest } from '@khumbu/shared/contract/schemas';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { RefusalReason } from './refusal-reasons.js';

export interface ResetSituation {
  readonly profile: StationProfile | undefined;
  readonly update: FirmwareUpdateRecord | undefined;
  readonly current: ResetRecord | undefined;
}

export type ResetPermission = { readonly allowed: true } | { readonly allowed: false; readonly reason: RefusalReason };

/** A station being changed must not lose power; everything else can wait or go on after a reset. */
export function decideResetAllowed({ profile, update }: Omit<ResetSituation, 'current'>): ResetPermission {
  if (!profile) return { allowed: false, reason: 'station_not_configured' };
  if (update?.slotHeld || (update && isInstalling(update.state))) return { allowed: false, reason: 'installing' };
  return { allowed: true };
}

export type ResetDecision =
  | { readonly kind: 'refuse'; readonly reason: RefusalReason }
  /** It is the reset that is open already. */
  | { readonly kind: 'repeat'; readonly operationId: string }
  | { readonly kind: 'accept'; readonly replaces?: ResetRecord };

/**
 * A reset is never dropped for bad timing: EVerest's OCPP module has stopped itself by now and waits for it. One that
 * comes while the station is being changed is done right after.
 */
export function decideReset(
  request: ResetRequest,
  { profile, current }: Omit<ResetSituation, 'update'>,
): ResetDecision {
  if (!profile) return { kind: 'refuse', reason: 'station_not_configured' };
  if (!current || current.endedAt !== undefined) return { kind: 'accept' };
  const same = current.type === request.type && current.scheduled === (request.scheduled ?? false);
  // What is being done to the station cannot be replaced.
  if (same || current.state === 'Resetting') return { kind: 'repeat', operationId: current.id };
  return { kind: 'accept', replaces: current };
}
