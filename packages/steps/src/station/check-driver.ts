/** A look at a station before it is used, as a job. */
import { deadlineAfter } from '@khumbu/shared/runtime/abort';
import { describeError } from '@khumbu/shared/runtime/errors';
import { checkBy } from '@khumbu/station-drivers/check/check-by';
import { EVERY_VERB, verdictsOf, wanting } from '@khumbu/station-drivers/check/findings';
import type { DriverCheck } from '@khumbu/station-drivers/port';
import { type DriverDeps, requireDriver } from './step-deps.js';

/** For one look; a station that takes longer is one that cannot be used. */
const LOOK_MS = 5 * 60_000;

export function createCheckDriver(deps: DriverDeps) {
  return {
    look: async (station: string, signal: AbortSignal): Promise<DriverCheck> => {
      const limit = deadlineAfter(LOOK_MS, signal);
      try {
        return await checkBy(requireDriver(deps, station), limit.signal);
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
