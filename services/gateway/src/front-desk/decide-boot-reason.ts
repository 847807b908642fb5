/**
 * Why the station started, from the records and the boots we have noticed. Pure. Every question in one boot gets the
 * same answer. A boot is a restart of the heartbeat count, or the first question after a restart that we caused or
 * after a silence: the question may overtake the first heartbeat.
 */
import type { StationState } from '@khumbu/operations/stations/station-state';
import type { BootReason } from '@khumbu/shared/contract/schemas';

/** Nothing boots a host quicker than this: a shorter silence was a restart of EVerest alone. */
export const HOST_BOOT_MS = 15_000;
/** A restart that we announced and that has not come by now was not ours. */
export const RESTART_EXPECTED_FOR_MS = 3 * 3600_000;
/** A station that asks after this many silent periods has started anew. */
const SILENT_PERIODS = 2.5;

export interface BootEvidence {
  readonly state: StationState;
  /** Milliseconds since EVerest was last heard; `undefined`: never heard. */
  readonly silentMs: number | undefined;
  readonly heartbeatPeriodMs: number | undefined;
  /** On the depot's steady clock, as the restart that is expected. */
  readonly steadyNow: number;
}

/** The reason for a boot that has just been noticed. */
export function reasonOfBoot({ state, silentMs, steadyNow }: BootEvidence): BootReason {
  const expected = state.restartExpected;
  if (expected && steadyNow - expected.at < RESTART_EXPECTED_FOR_MS) return expected.reason;
  if (silentMs === undefined) return 'PowerUp';
  return silentMs < HOST_BOOT_MS ? 'ApplicationReset' : 'PowerUp';
}

export interface BootAnswer {
  readonly reason: BootReason;
  /** This question is the first sign of a new boot. */
  readonly beginsBoot: boolean;
  /** The answer is to be kept for this boot. */
  readonly store: boolean;
}

export function decideBootReason(evidence: BootEvidence): BootAnswer {
  const { state, silentMs, heartbeatPeriodMs } = evidence;
  const { restartExpected, bootReason } = state;
  const expected = restartExpected && evidence.steadyNow - restartExpected.at < RESTART_EXPECTED_FOR_MS;
  // A boot that has begun is silent until its first heartbeat: asked again, it is still the same one.
  const awaitsHeartbeat = (): boolean => state.heartbeat?.id === -1;
  const wasSilent =
    silentMs !== undefined && heartbeatPeriodMs !== undefined && silentMs > SILENT_PERIODS * heartbeatPeriodMs;
  const known = bootReason?.bootEpoch === state.bootEpoch ? bootReason.reason : undefined;
  if (expected || (wasSilent && !awaitsHeartbeat())) {
    return { reason: reasonOfBoot(evidence), beginsBoot: true, store: true };
  }
  if (known !== undefined) return { reason: known, beginsBoot: false, store: false };
  return { reason: reasonOfBoot({ ...evidence, silentMs: undefined }), beginsBoot: false, store: true };
}
