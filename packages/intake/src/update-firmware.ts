/** `update_firmware`: what it is decided from, and what the decision stores. */
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import { newOperationId } from '@khumbu/operations/records/record';
import type { FirmwareUpdateRequest } from '@khumbu/shared/contract/schemas';
import { CodedError } from '@khumbu/shared/runtime/errors';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { objectionToReplacing } from './decide-replacement.js';
import { type CertificateVerdict, decideUpdate, wantsVerdict } from './decide-update.js';
import type { Answer, Decision } from './decision.js';
import type { Parts } from './intake-deps.js';
import { offeredBase } from './offers.js';
import type { Requester } from './requester.js';
import type { SituationInSlot } from './situation.js';

interface Judged {
  readonly rule: StationProfile['certificate'];
  readonly verdict: CertificateVerdict | undefined;
}

interface UpdateSituation extends SituationInSlot<'firmware_update'> {
  readonly certificate: CertificateVerdict | undefined;
}

export function createUpdateFirmware(parts: Parts) {
  const { accept, read, judgeCertificate, locations, profileOf, isInConflict, now } = parts;

  /**
   * Once for each request, ahead of the decision, because the situation may have to be read again. A caller over REST may ask
   * again, so nothing is kept of a certificate that was not judged: it rejects with `CERTIFICATE_NOT_JUDGED` then.
   */
  const judge = async (request: FirmwareUpdateRequest, requester: Requester): Promise<Judged | undefined> => {
    const { station, origin } = requester;
    const profile = isInConflict(station) ? undefined : profileOf(station);
    if (!profile || !wantsVerdict(request, { profile, locations, origin })) return undefined;
    const verdict = await judgeCertificate(request, profile, requester);
    const isUndecided = verdict?.ok === false && verdict.response === 'Rejected';
    if (isUndecided && origin === 'rest')
      throw new CodedError('CERTIFICATE_NOT_JUDGED', verdict.detail ?? verdict.reason);
    return { rule: profile.certificate, verdict };
  };

  const decide = (request: FirmwareUpdateRequest, id: string, situation: UpdateSituation): Decision => {
    const { requester, profile, current, certificate } = situation;
    const { bootEpoch } = situation.state;
    const { origin } = requester;
    const decision = decideUpdate(request, { profile, current, certificate, locations, origin });
    if (!profile || 'reason' in decision) return { kind: 'answer', ...decision };
    const objection = objectionToReplacing(requester, current);
    if (objection) return { kind: 'answer', reply: 'Rejected', reason: objection };
    const announced = origin === 'everest' || profile.announce;
    const replaces = decision.reply === 'AcceptedCanceled' ? decision.replaces : undefined;
    const record: FirmwareUpdateRecord = {
      ...offeredBase(parts, 'firmware_update', requester, request.request_id, id, replaces),
      request,
      signed: decision.signed,
      announced,
      permissionNeeded: announced ? profile.ocpp : true,
      ...(requester.allowsInstallation ? { permission: { bootEpoch, at: now().wall, by: 'rest' } } : {}),
      tries: 0,
    };
    return { kind: 'offer', reply: decision.reply, record, replaces };
  };

  return async (request: FirmwareUpdateRequest, requester: Requester): Promise<Answer> => {
    const id = newOperationId('firmware_update', now());
    const judged = await judge(request, requester);
    return accept({
      channel: 'update_firmware',
      requester,
      async read(): Promise<UpdateSituation> {
        const situation = await read.requestInSlot(requester, 'firmware_update');
        const { profile } = situation;
        // The rule may have changed since: then the certificate is judged by the new one.
        const isJudged = judged && judged.rule === profile?.certificate;
        const certificate = isJudged
          ? judged.verdict
          : profile && (await judgeCertificate(request, profile, requester));
        return { ...situation, certificate };
      },
      decide: (situation) => decide(request, id, situation),
    });
  };
}
