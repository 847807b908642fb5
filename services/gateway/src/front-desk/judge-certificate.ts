/** The verdict on the signing certificate of a request, before it is accepted. OCPP 2.0.1 L01.FR.02, .21, .22. */
import { readCertificates } from '@khumbu/firmware-trust/certificate';
import { checkChain, isClockSane } from '@khumbu/firmware-trust/chain';
import type { TrustStore } from '@khumbu/firmware-trust/roots';
import type { FirmwareUpdateRequest } from '@khumbu/shared/contract/schemas';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { CertificateVerdict } from './decide-update.js';

/** `certificate: any` in the stations file asks only for a readable one; the signature is checked all the same. */
export async function judgeCertificate(
  request: FirmwareUpdateRequest,
  profile: StationProfile,
  trust: TrustStore,
  now: Date,
): Promise<CertificateVerdict | undefined> {
  const { signing_certificate: certificate } = request;
  if (certificate === undefined || certificate === '') return undefined;
  if (profile.certificate === 'any') {
    const read = readCertificates(certificate);
    return read.ok ? { ok: true } : { ok: false, response: 'InvalidCertificate', reason: 'certificate_unreadable' };
  }
  const verdict = await checkChain(certificate, { ...trust.current(), now, clockSane: isClockSane(now) });
  if (verdict.verdict === 'valid') return { ok: true };
  return { ok: false, response: verdict.verdict, reason: verdict.reason };
}
