/** The image is here and was signed: is it what was signed? OCPP 2.0.1 L01.FR.04. */
import { type FirmwareUpdateRecord, installAt } from '@khumbu/operations/firmware-update/record';
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import { openUnlessLost } from '../images/image-store.js';
import { connectorsDetail } from './connectors.js';
import { applyAll, loseImage, requireProfile, type StepDeps, viewStation } from './step-deps.js';

export function createVerify(deps: StepDeps, allowPkcs1: boolean) {
  return async (record: FirmwareUpdateRecord, { signal, commit }: StepContext): Promise<void> => {
    const { image, request } = record;
    if (!image) throw new TypeError('a downloaded update has an image');
    const imagePath = await openUnlessLost(deps.images, image, signal);
    if (imagePath === undefined) return commit(await loseImage(deps, record));
    const question = {
      certificatePem: request.signing_certificate ?? '',
      signatureBase64: request.signature ?? '',
      allowPkcs1,
    };
    const verdict = await deps.checks.verdict(imagePath, question, signal);
    // Only what is signed may say that connectors stay in use.
    const stated = verdict.ok ? await deps.checks.connectorsFlag(imagePath, signal) : undefined;
    const view = await viewStation(deps, record.station);
    const change = deps.store.change();
    if (!verdict.ok) {
      applyAll(change, record, [{ event: 'signatureBad', detail: { reason: verdict.reason } }], view.context);
    } else {
      const set = connectorsDetail(record, requireProfile(view), stated);
      const later = (installAt(record) ?? 0) > view.context.now.wall;
      applyAll(
        change,
        record,
        [{ event: 'signatureGood', detail: { set } }, ...(later ? [{ event: 'installLater' as const }] : [])],
        view.context,
      );
    }
    await commit(change);
  };
}
