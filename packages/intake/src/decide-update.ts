/**
 * What to answer to `update_firmware`, from the state the intake has read. Pure.
 *
 * | the station's current update | answer |
 * |---|---|
 * | none, or ended | Accepted |
 * | not yet installing | AcceptedCanceled, and it is superseded (OCPP 2.0.1 L01.FR.24) |
 * | installing, or ended while installing and the station not seen idle yet | Rejected (L01.FR.27) |
 */
import { isStoppable } from '@khumbu/operations/kinds/firmware-update/machine';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { FirmwareUpdateRequest, UpdateFirmwareResponse } from '@khumbu/shared/contract/schemas';
import { artifactOf } from '@khumbu/shared/locations/artifact-location';
import type { LocationPolicy } from '@khumbu/shared/locations/policy';
import type { LocationUse } from '@khumbu/shared/locations/store-areas';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { type RefusalReason, refusalOf } from './refusal-reasons.js';

/** The verdict on the signing certificate; `undefined` where there is none to judge. */
export type CertificateVerdict =
  | { readonly ok: true }
  | {
      readonly ok: false;
      readonly response: 'InvalidCertificate' | 'RevokedCertificate' | 'Rejected';
      readonly reason: RefusalReason;
      /** A sentence for people. */
      readonly detail?: string;
    };

export interface UpdateSituation {
  /** `undefined`: not configured, or two stations share the name. */
  readonly profile: StationProfile | undefined;
  /** The update that has the station's slot. */
  readonly current: FirmwareUpdateRecord | undefined;
  readonly certificate: CertificateVerdict | undefined;
  readonly locations: Pick<LocationPolicy, 'check'>;
  /** Where the location comes from; absent: EVerest. */
  readonly origin?: LocationUse['origin'];
}

export type UpdateDecision =
  | { readonly reply: 'Accepted'; readonly signed: boolean }
  | { readonly reply: 'AcceptedCanceled'; readonly signed: boolean; readonly replaces: FirmwareUpdateRecord }
  | {
      readonly reply: Exclude<UpdateFirmwareResponse, 'Accepted' | 'AcceptedCanceled'>;
      readonly reason: RefusalReason;
      /** A sentence for people. */
      readonly detail?: string;
      /** What the request might have had in its place. */
      readonly allowed?: readonly string[];
    };

const rejected = (reason: RefusalReason): UpdateDecision => ({ reply: 'Rejected', reason });

/** Why the image may not be fetched whatever its signature is; `undefined`: it may. */
function objectionToImage(
  request: FirmwareUpdateRequest,
  { profile, locations, origin = 'everest' }: Pick<UpdateSituation, 'profile' | 'locations' | 'origin'>,
): UpdateDecision | undefined {
  if (!profile) return rejected('station_not_configured');
  // What the depot holds is connected to nowhere.
  if (artifactOf(request.location) === undefined) {
    const location = locations.check(request.location, { for: 'firmware', station: profile.station, origin });
    if (!location.ok) return { reply: 'Rejected', ...refusalOf(location) };
  }
  const parts = [request.signing_certificate, request.signature].filter((part) => part !== undefined && part !== '');
  if (parts.length === 1) return rejected('signature_incomplete');
  return parts.length === 0 && profile.requireSignature ? rejected('signature_required') : undefined;
}

/** The decision depends on the signing certificate. Pure. */
export const wantsVerdict = (
  request: FirmwareUpdateRequest,
  situation: Pick<UpdateSituation, 'profile' | 'locations' | 'origin'>,
): boolean => Boolean(request.signing_certificate) && objectionToImage(request, situation) === undefined;

export function decideUpdate(request: FirmwareUpdateRequest, situation: UpdateSituation): UpdateDecision {
  const objected = objectionToImage(request, situation);
  if (objected) return objected;
  const { certificate } = situation;
  if (request.signing_certificate && certificate && !certificate.ok)
    return {
      reply: certificate.response,
      reason: certificate.reason,
      ...(certificate.detail === undefined ? {} : { detail: certificate.detail }),
    };
  const signed = Boolean(request.signing_certificate && request.signature);
  const { current } = situation;
  if (current?.slotHeld) return rejected('installing');
  if (!current || current.endedAt !== undefined) return { reply: 'Accepted', signed };
  if (current.state !== 'Offered' && !isStoppable(current.state)) return rejected('installing');
  return { reply: 'AcceptedCanceled', signed, replaces: current };
}
