/**
 * After the reboot: EVerest is back, and its certificate store answers as before the update. Without its certificates a station
 * that runs well can neither reach its CSMS nor charge by Plug & Charge.
 */
import { putOff } from '@khumbu/operations/jobs/job-loop';
import {
  type CertificateEvidence,
  certificateText,
  type StoreAnswers,
  worseThan,
} from '@khumbu/operations/kinds/firmware-update/certificates';
import type { FirmwareUpdateRecord } from '@khumbu/operations/kinds/firmware-update/record';
import type { StationState } from '@khumbu/operations/stations/station-state';
import { askCertificateStore } from '../certificate-store.js';
import { type StepDeps, viewStation } from './step-deps.js';

const LOOK_MS = 3000;

/** When EVerest was seen back: by a heartbeat after its host had booted. Without heartbeats the boot of the host counts. Pure. */
export function seenBack(
  { backAt, bootedAt }: CertificateEvidence & { readonly bootedAt: number },
  { heartbeat, communication }: Pick<StationState, 'heartbeat' | 'communication'>,
  monotonicNow: number,
): number | undefined {
  if (backAt !== undefined) return backAt;
  if ((communication?.heartbeat_period_ms ?? (heartbeat ? 1 : 0)) <= 0) return bootedAt;
  const isHeard = heartbeat !== undefined && heartbeat.id >= 0 && (heartbeat.steadyAt ?? 0) > bootedAt;
  return isHeard ? monotonicNow : undefined;
}

export type CertificateVerdict =
  | { readonly verdict: 'as_before' }
  | { readonly verdict: 'wait' }
  | { readonly verdict: 'worse'; readonly message: string };

/**
 * `answers`: `undefined`: nothing was asked, so nothing is known. `ambiguous`: a person has changed the stations file so that nothing can be asked,
 * which is for a person to mend and no fault of the image. A store may take its time, and wait for the clock of the
 * station: it is worse only when `answerWithinMs` have passed since EVerest was back. Pure.
 */
export function judgeCertificates(
  { before, backAt }: CertificateEvidence,
  answers: StoreAnswers | undefined,
  { answerWithinMs, monotonicNow }: { readonly answerWithinMs: number; readonly monotonicNow: number },
): CertificateVerdict {
  if (!answers || backAt === undefined) return { verdict: 'wait' };
  if (answers === 'ambiguous') return { verdict: 'as_before' };
  const worse = worseThan(before, answers);
  if (worse.length === 0) return { verdict: 'as_before' };
  if (monotonicNow - backAt < answerWithinMs) return { verdict: 'wait' };
  return {
    verdict: 'worse',
    message: `it was ${certificateText(worse, before)}, and is ${certificateText(worse, answers)}`,
  };
}

/** What is judged of an update whose station runs the image; where it is to be looked at again, the record is. */
export async function lookAtCertificates(
  deps: StepDeps,
  record: FirmwareUpdateRecord,
  signal: AbortSignal,
): Promise<CertificateVerdict | { readonly verdict: 'later'; readonly record: FirmwareUpdateRecord }> {
  const { certificates } = record;
  const { profile, state } = await viewStation(deps, record.station);
  // Taken out of the stations file meanwhile: a person does not want it to be judged.
  if (!certificates || !profile?.certificateStore) return { verdict: 'as_before' };
  const bootedAt = certificates.bootedAt ?? deps.now().monotonic;
  const backAt = seenBack({ ...certificates, bootedAt }, state, deps.now().monotonic);
  const evidence = { ...certificates, bootedAt, ...(backAt === undefined ? {} : { backAt }) };
  const answers = backAt === undefined ? undefined : await askCertificateStore(deps.store, record.station, signal);
  const { answerWithinMs } = profile.certificateStore;
  const judged = judgeCertificates(evidence, answers, { answerWithinMs, monotonicNow: deps.now().monotonic });
  if (judged.verdict !== 'wait') return judged;
  const next = { ...record, certificates: evidence };
  return { verdict: 'later', record: putOff(next, LOOK_MS, 'certificate_store', deps.now()) };
}
