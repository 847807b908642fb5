/** The verdict on the signing certificate of a request, before it is accepted. OCPP 2.0.1 L01.FR.02, .21, .22. */
import type { Judgement, Judges } from '@khumbu/firmware-trust/judges';
import type { FirmwareUpdateRequest } from '@khumbu/shared/contract/schemas';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import type { CertificateVerdict } from './decide-update.js';
import type { Requester } from './requester.js';

export type JudgeCertificate = (
  request: FirmwareUpdateRequest,
  profile: StationProfile,
  requester: Pick<Requester, 'station' | 'origin' | 'caller'>,
) => Promise<CertificateVerdict | undefined>;

export interface JudgeCertificateDeps {
  readonly judges: Pick<Judges, 'judge'>;
  /** Of the depot: certificates are dated. */
  readonly now: () => Date;
  /** May leave lines out: what a station sends can cause them. */
  readonly log: { readonly warn: (what: object, text: string) => void };
  readonly onJudged?: (outcome: 'valid' | 'invalid' | 'revoked' | 'undecided') => void;
}

const OUTCOMES = { valid: 'valid', InvalidCertificate: 'invalid', RevokedCertificate: 'revoked' } as const;

function verdictOf(judgement: Judgement): CertificateVerdict {
  if ('undecided' in judgement)
    return { ok: false, response: 'Rejected', reason: 'certificate_not_judged', detail: judgement.undecided };
  const { verdict } = judgement;
  if (verdict.verdict === 'valid') return { ok: true };
  const detail = verdict.verdict === 'InvalidCertificate' ? verdict.detail : undefined;
  return {
    ok: false,
    response: verdict.verdict,
    reason: verdict.reason,
    ...(detail === undefined ? {} : { detail }),
  };
}

/**
 * `certificate: any` in the stations file asks only for a readable one that is not weak; the signature is checked all the
 * same. Never rejects.
 */
export function createJudgeCertificate({ judges, now, log, onJudged }: JudgeCertificateDeps): JudgeCertificate {
  return async ({ signing_certificate: text }, { certificate: rule }, { station, origin, caller }) => {
    if (text === undefined || text === '') return undefined;
    // Over REST one caller may name every station: turns are shared by caller, not by station.
    const sender = origin === 'rest' ? `caller ${caller ?? ''}` : `station ${station}`;
    const judgement = await judges.judge({ text, rule, sender, now: now() });
    if ('undecided' in judgement) {
      onJudged?.('undecided');
      log.warn({ station, reason: judgement.undecided }, 'a certificate was not judged');
    } else {
      const { verdict } = judgement;
      onJudged?.(OUTCOMES[verdict.verdict]);
      for (const remark of (verdict.verdict === 'valid' && verdict.remarks) || [])
        log.warn({ station, reason: remark }, 'it is not known whether a certificate is revoked: accepted');
    }
    return verdictOf(judgement);
  };
}
