/**
 * Why the station started, from the records and the boots that were noticed. Pure. Every question in one boot gets the
 * same answer. A boot is a restart of the heartbeat count, or the first question after a restart that the depot caused or
 * after a silence: the question may arrive before the first heartbeat. Where the silence is too short to decide whether EVerest
 * has started anew, the decision waits for evidence (`BootSign`).
 */
import { hasHostBooted, type ObservedHost } from '@khumbu/operations/stations/observed-host';
import { lastAliveAt, type StationState } from '@khumbu/operations/stations/station-state';
import type { BootReason, CommunicationParameters } from '@khumbu/shared/contract/schemas';

/** No host boots quicker than this: a shorter silence was a restart of EVerest alone. */
export const HOST_BOOT_MS = 15_000;
/** A restart that was announced and has not come by now was not the depot's. */
export const RESTART_EXPECTED_FOR_MS = 3 * 3600_000;
/** A station that asks after this many silent periods has started anew. */
const SILENT_PERIODS = 2.5;
/** EVerest's default period. With heartbeats that frequent, the last one tells when EVerest last ran. */
const USUAL_PERIOD_MS = 1000;
/** The question of a boot arrives with its first heartbeat: the first question so soon after a count began belongs to it. */
const OWN_QUESTION_MS = 1000;
/** No restart of EVerest is that quick: two of its modules have asked in one start. */
const SAME_START_MS = 500;
/** How long a question waits for a sign at most: for a heartbeat that is a little late, and a share of EVerest's timeout. */
const SIGN_PERIODS = 1.2;
const SIGN_SHARE_OF_TIMEOUT = 1 / 3;
/** EVerest's default, and the limit of the callers inside EVerest whatever is configured. Seconds. */
const REPLY_TIMEOUT_S = 550;
const CALLERS_TIMEOUT_S = 300;

/**
 * Evidence of whether a question belongs to a new boot: the count of heartbeats goes on or begins anew, modules report that
 * they have started, or no heartbeat arrives in time, which an EVerest that has gone on would have sent.
 */
export type BootSign = 'goes_on' | 'begins' | 'beacon' | 'silence';

export interface BootEvidence {
  readonly state: StationState;
  /** Milliseconds since its last heartbeat; `undefined`: never heard. */
  readonly silentMs: number | undefined;
  readonly heartbeatPeriodMs: number | undefined;
  /** A boot has begun whose first heartbeat is still to come; `undefined`: as it is stored. */
  readonly awaitsHeartbeat?: boolean;
  /** Milliseconds since then. */
  readonly begunMs?: number | undefined;
  /** Milliseconds since the count that goes on began, where that was heard. */
  readonly countAgeMs?: number | undefined;
  /** Since the last heartbeat of a count that had gone on for long, modules have said that they have started. */
  readonly beaconHeard?: boolean;
  /** Its boot was counted between the question and this decision. */
  readonly isCounted?: boolean;
  /** What the host testifies, looked at in this boot. */
  readonly host?: ObservedHost | undefined;
  /** What came while the question waited, and the boot epoch in which it was found open. */
  readonly sign?: { readonly what: BootSign; readonly bootEpoch: number } | undefined;
  /** On the depot's monotonic clock, as the restart that is expected. */
  readonly monotonicNow: number;
}

const expectedOf = ({ state: { restartExpected }, monotonicNow }: Pick<BootEvidence, 'state' | 'monotonicNow'>) =>
  restartExpected && monotonicNow - restartExpected.at < RESTART_EXPECTED_FOR_MS ? restartExpected.reason : undefined;

/** The reason for a boot that has just been noticed. */
export function reasonOfBoot(
  evidence: Pick<BootEvidence, 'state' | 'silentMs' | 'heartbeatPeriodMs' | 'monotonicNow'>,
): BootReason {
  const expected = expectedOf(evidence);
  if (expected) return expected;
  const { silentMs, heartbeatPeriodMs = USUAL_PERIOD_MS } = evidence;
  if (silentMs === undefined) return 'PowerUp';
  // With a long heartbeat period EVerest may have run for most of a period after its last heartbeat.
  const downMs = silentMs - Math.max(0, heartbeatPeriodMs - USUAL_PERIOD_MS);
  return downMs < HOST_BOOT_MS ? 'ApplicationReset' : 'PowerUp';
}

export interface BootAnswer {
  readonly reason: BootReason;
  /** This question is the first sign of a new boot. */
  readonly beginsBoot: boolean;
  /** The answer is to be kept for this boot. */
  readonly store: boolean;
}

/** Worked out from silence alone. */
const INFERRED: readonly BootReason[] = ['ApplicationReset', 'PowerUp'];

/**
 * What the host testifies counts more than a silence, and less than what the depot itself has caused. Pure.
 *
 * | the depot expects it | since EVerest last ran the host | reason |
 * |---|---|---|
 * | yes | | the one that is expected |
 * | no | has not booted | `ApplicationReset` |
 * | no | has booted | its own (`Watchdog`), else `PowerUp` |
 * | no | is not known to have booted or not | by the silence |
 */
export function refinedByHost(
  answer: BootAnswer,
  { state, host, monotonicNow }: Pick<BootEvidence, 'state' | 'host' | 'monotonicNow'>,
): BootAnswer {
  if (!host || !answer.store || !INFERRED.includes(answer.reason) || expectedOf({ state, monotonicNow })) return answer;
  const { bootEpoch, bootReason } = state;
  const hasBooted = hasHostBooted(
    host,
    answer.beginsBoot
      ? { lastAlive: lastAliveAt(state), lastEpoch: bootEpoch }
      : { lastAlive: bootReason?.aliveAt, lastEpoch: bootEpoch - 1 },
  );
  if (hasBooted === undefined) return answer;
  return { ...answer, reason: hasBooted ? (host.bootReason ?? 'PowerUp') : 'ApplicationReset' };
}

/** It cannot be decided yet: wait for a sign. */
export const OPEN = 'open';

export function decideBootReason(evidence: BootEvidence): BootAnswer | typeof OPEN {
  const { state, silentMs, heartbeatPeriodMs: period, countAgeMs, sign, monotonicNow } = evidence;
  const { bootReason, bootEpoch } = state;
  const known = bootReason?.bootEpoch === bootEpoch ? bootReason.reason : undefined;
  // A record without `asked` is of an earlier version: that reason may have been sent.
  const wasAsked = known !== undefined && bootReason?.asked !== false;
  const begins = (reason: BootReason): BootAnswer => ({ reason, beginsBoot: true, store: true });
  const sameBoot = (): BootAnswer => ({
    reason: known ?? reasonOfBoot({ ...evidence, silentMs: undefined }),
    beginsBoot: false,
    store: !wasAsked,
  });

  if (sign) {
    // Counted by its heartbeat, or by another question that has waited.
    if (sign.bootEpoch !== bootEpoch || sign.what === 'goes_on') return sameBoot();
    return begins(sign.what === 'silence' ? (expectedOf(evidence) ?? 'ApplicationReset') : reasonOfBoot(evidence));
  }
  if (evidence.isCounted) return sameBoot();
  if (expectedOf(evidence)) return begins(reasonOfBoot(evidence));
  const isBegun = evidence.awaitsHeartbeat ?? state.heartbeat?.id === -1;
  if (isBegun) {
    const begunMs = evidence.begunMs ?? Math.max(0, monotonicNow - (state.heartbeat?.steadyAt ?? monotonicNow));
    // EVerest asks once in each start.
    if (begunMs < SAME_START_MS) return sameBoot();
    // Without heartbeats the silence is no evidence.
    return begins(reasonOfBoot({ ...evidence, silentMs: period === undefined ? 0 : begunMs }));
  }
  if (silentMs === undefined || period === undefined) return sameBoot();
  if (silentMs > SILENT_PERIODS * period) return begins(reasonOfBoot(evidence));
  const isOwn = !wasAsked && countAgeMs !== undefined && countAgeMs < Math.min(OWN_QUESTION_MS, period / 2);
  if (isOwn) return sameBoot();
  if (evidence.beaconHeard) return begins(reasonOfBoot(evidence));
  // The answer is the same whichever boot it is.
  return wasAsked && known === 'ApplicationReset' ? sameBoot() : OPEN;
}

/**
 * How long a question that came `silentMs` after the last heartbeat may wait for a sign, in milliseconds; afterwards the
 * silence is one. Pure.
 */
export function signWaitMs(
  silentMs: number,
  periodMs: number,
  {
    request_reply_timeout_s: timeoutS = REPLY_TIMEOUT_S,
  }: Pick<CommunicationParameters, 'request_reply_timeout_s'> = {},
): number {
  const patienceMs = Math.min(timeoutS, CALLERS_TIMEOUT_S) * 1000 * SIGN_SHARE_OF_TIMEOUT;
  return Math.max(0, Math.min(SIGN_PERIODS * periodMs, SILENT_PERIODS * periodMs - silentMs, patienceMs));
}
