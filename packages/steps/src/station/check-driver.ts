/** A look at a station before it is used, as a job. */
import { certificateText, hasAnswered, type StoreAnswers } from '@khumbu/operations/kinds/firmware-update/certificates';
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { describeError } from '@khumbu/shared/runtime/errors';
import type { StationProfile } from '@khumbu/shared/stations/stations-file';
import { checkBy } from '@khumbu/station-drivers/check/check-by';
import { EVERY_VERB, good, verdictsOf, wanting } from '@khumbu/station-drivers/check/findings';
import type { CheckFinding, DriverCheck } from '@khumbu/station-drivers/port';
import { type DriverDeps, requireDriver } from './step-deps.js';

/** For one look; a station that takes longer is one that cannot be used. */
const LOOK_MS = 5 * 60_000;

/** Of the certificate store of EVerest, by the gateway: it decides about no verb of the driver. */
async function certificateFindings(
  profile: StationProfile | undefined,
  ask: () => Promise<StoreAnswers | undefined>,
): Promise<readonly CheckFinding[]> {
  const subject = 'certificate_store';
  if (!profile?.certificateStore) {
    if (!profile?.driverEntry) return [];
    const text = 'the certificate store of its EVerest is not asked before Installed';
    return [wanting('not_needed', subject, text, 'name its evse_security_consumer_API in evse_security', [])];
  }
  const { leaves, moduleId } = profile.certificateStore;
  const answers = await ask();
  if (answers === 'ambiguous') {
    const text = `another station has the module id ${moduleId}: neither is asked, and updates are not judged by it`;
    return [wanting('warning', subject, text, 'give each its own evse_security.module_id', [])];
  }
  const text = `${moduleId} answers ${certificateText(leaves, answers ?? {})}`;
  if (hasAnswered(answers)) return [good(subject, text)];
  const remedy = answers
    ? 'is EVerest up, module_id right, and may the module speak with the depot?'
    : 'no gateway leads: ask again when one does';
  return [wanting('warning', subject, `${text}: updates are not judged by it`, remedy, [])];
}

/** `undefined`: nobody has asked. */
type AskCertificates = (station: string, signal: AbortSignal) => Promise<StoreAnswers | undefined>;

export function createCheckDriver(deps: DriverDeps, askCertificates: AskCertificates) {
  return {
    look: async (station: string, signal: AbortSignal): Promise<DriverCheck> => {
      const limit = deadlineAfter(LOOK_MS, signal);
      try {
        const [check, certificates] = await Promise.all([
          checkBy(requireDriver(deps, station), limit.signal),
          certificateFindings(deps.directory.profileOf(station), () => askCertificates(station, limit.signal)),
        ]);
        return { ...check, findings: [...check.findings, ...certificates] };
      } finally {
        limit.clear();
      }
    },
    /** A driver that is no driver, a station that left the stations file: findings as well. */
    failed: (error: unknown): DriverCheck => {
      const findings = [wanting('missing', 'driver', describeError(error), 'mend its entry', EVERY_VERB)];
      return { findings, verbs: verdictsOf(findings) };
    },
  };
}
