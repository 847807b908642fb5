/** The image is here and was signed: is it what was signed? OCPP 2.0.1 L01.FR.04. */
import type { SignatureVerdict } from '@khumbu/firmware-trust/signature';
import type { StepContext } from '@khumbu/operations/jobs/job-loop';
import {
  type FirmwareUpdateRecord,
  installAt,
  type StoredImage,
} from '@khumbu/operations/kinds/firmware-update/record';
import { requireProfile } from '@khumbu/shared/stations/stations-file';
import { connectorsDetail } from './connectors.js';
import { openUnlessLost } from './image-ports.js';
import { applyAll, loseImage, type StepDeps, viewStation } from './step-deps.js';

/** The image, or what it was before a coding was taken off: whichever the signature is over. */
const candidates = ({ asCame, ...image }: StoredImage): readonly StoredImage[] => [image, ...(asCame ? [asCame] : [])];

export function createVerify(deps: StepDeps, allowPkcs1: boolean) {
  /** The signed one, or why none is; `undefined`: one of them is lost. */
  const judge = async (record: FirmwareUpdateRecord, image: StoredImage, signal: AbortSignal) => {
    const { signing_certificate: certificate, signature } = record.request;
    const question = { certificatePem: certificate ?? '', signatureBase64: signature ?? '', allowPkcs1 };
    let first: SignatureVerdict | undefined;
    for (const candidate of candidates(image)) {
      const imagePath = await openUnlessLost(deps.images, candidate, signal);
      if (imagePath === undefined) return undefined;
      const verdict = await deps.checks.verdict(imagePath, question, signal);
      if (verdict.ok) return { verdict, image: candidate, imagePath };
      first ??= verdict;
    }
    return first && { verdict: first };
  };

  return async (record: FirmwareUpdateRecord, { signal, commit }: StepContext): Promise<void> => {
    if (!record.image) throw new TypeError('a downloaded update has an image');
    const judged = await judge(record, record.image, signal);
    if (!judged) return commit(await loseImage(deps, record));
    const { verdict } = judged;
    // Only what is signed may say that connectors stay in use.
    const stated =
      judged.imagePath === undefined ? undefined : await deps.checks.connectorsFlag(judged.imagePath, signal);
    const view = await viewStation(deps, record.station);
    const transaction = deps.store.transaction();
    if (!verdict.ok) {
      applyAll(transaction, record, [{ event: 'signatureBad', detail: { reason: verdict.reason } }], view.context);
    } else {
      const set = {
        ...connectorsDetail(record, requireProfile(view.profile), stated),
        image: judged.image ?? record.image,
      };
      const later = (installAt(record) ?? 0) > view.context.now.wall;
      applyAll(
        transaction,
        record,
        [{ event: 'signatureGood', detail: { set } }, ...(later ? [{ event: 'installLater' as const }] : [])],
        view.context,
      );
    }
    await commit(transaction);
  };
}
