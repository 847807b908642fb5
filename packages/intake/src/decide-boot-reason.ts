/**
 * Why the station started, from the records and the boots we have noticed. Pure. Every question in one boot gets the
 * same answer. A boot is a restart of the heartbeat count, or the first question after a restart that we caused or
 * after a silence: the question may overtake the first heartbeat. Where a silence is too short to tell whether EVerest has
 * started anew, what tells boots apart is waited for (`BootSign`).
 */
import type { StationState } from '@khumbu/operations/stations/station-state';
import type { BootReason, CommunicationParameters } from '@khumbu/shared/contract/schemas';

/** Nothing boots a host quicker than this: a shorter silence was a restart of EVerest alone. */
export const HOST_BOOT_MS = 15_000;
/** A restart that we announced and that has not come by now was not ours. */
export const RESTART_EXPECTED_FOR_MS = 3 * 3600_000;
/** A station that asks after this many silent periods has started anew. */
const SILENT_PERIODS = 2.5;
/** EVerest's default period. Where beats are that frequent, the last one is the last sign of life. */
const USUAL_PERIOD_MS = 1000;
/** The question of a boot comes with its first heartbeat; one that nobody has asked before, so soon after, is that. */
const OWN_QUESTION_MS = 1000;
/** EVerest does not come back so quickly: two of its modules have asked. */
const SAME_START_MS = 500;
/** How long a sign is waited for at most: a beat that is a little late, and a part of EVerest's patience. */
const SIGN_PERIODS = 1.2;
const SIGN_SHARE_OF_TIMEOUT = 1 / 3;
/** EVerest's default, and when the callers inside EVerest give up whatever it is set to. Seconds. */
const REPLY_TIMEOUT_S = 550;
const CALLERS_TIMEOUT_S = 300;

/**
 * What tells whether a question belongs to a new boot: the count of heartbeats goes on or begins anew, modules say that
 * they have started, or nothing comes in time, which EVerest as it was would not have kept from us.
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
  // Of a station that beats seldom, EVerest may have lived for most of a period after its last beat.
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

/** Nobody can tell yet: wait for a sign. */
export const OPEN = 'open';

export function decideBootReason(evidence: BootEvidence): BootAnswer | typeof OPEN {
  const { state, silentMs, heartbeatPeriodMs: period, countAgeMs, sign, monotonicNow } = evidence;
  const { bootReason, bootEpoch } = state;
  const known = bootReason?.bootEpoch === bootEpoch ? bootReason.reason : undefined;
  // Written by a version that did not say, it may have been told.
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
    // Without heartbeats its silence says nothing.
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
  { request_reply_timeout_s: told = REPLY_TIMEOUT_S }: Pick<CommunicationParameters, 'request_reply_timeout_s'> = {},
): number {
  const patienceMs = Math.min(told, CALLERS_TIMEOUT_S) * 1000 * SIGN_SHARE_OF_TIMEOUT;
  return Math.max(0, Math.min(SIGN_PERIODS * periodMs, SILENT_PERIODS * periodMs - silentMs, patienceMs));
}
