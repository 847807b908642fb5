/**
 * What the leader knows of a station right now from its messages: is EVerest there, did it start anew. Whether two
 * stations use one identity: `duplicate-identity.ts`. Pure; times are monotonic milliseconds of the leader's process.
 */
import type { CommunicationParameters } from '@khumbu/shared/contract/schemas';
import { beatInLine, oneMore, restartCounted } from './duplicate-identity.js';

/** Silent for this many heartbeat periods: not there. */
const PERIODS_UNTIL_AWAY = 3;
/** Two processes read the depot's clock up to this much apart: each looks at it once a second. */
const HANDOVER_SLACK_MS = 1000;
/** The heartbeat period of a station may differ from the one in its discovery by this part of it. */
const PERIOD_TOLERANCE = 0.25;
/** Heartbeats after the first that show at which pace a count goes on. */
const PACE_BEATS = 2;
/** How long after the first one the last module of a start may be ready. */
const BEACONS_SPREAD_MS = 5000;

export interface Presence {
  /** The newest heartbeat id; -1 when a boot has begun whose first heartbeat is still to come. */
  readonly heartbeatId?: number;
  readonly heartbeatAt?: number;
  readonly previousHeartbeatAt?: number;
  /** When the count that goes on now was first heard; unknown after a takeover. */
  readonly countBeganAt?: number;
  /** When a heartbeat of this count was first heard by this process. */
  readonly countHeardAt?: number;
  /** When a question was the first sign of a boot whose first heartbeat is still to come. */
  readonly begunAt?: number;
  /** When modules behind its prefix said that they have started, long after the count that goes on had begun. */
  readonly beaconAt?: number;
  /** The newest heartbeat was received by an earlier leader; how many have come since is not known. */
  readonly handedOver?: true;
  /**
   * The first heartbeat after it that was behind the count that would have gone on, and how long EVerest had not been heard
   * before: of another boot, or of this one and kept on its way. What comes next tells.
   */
  readonly behind?: { readonly id: number; readonly at: number; readonly silentMs: number };
  /** Anything that proves that EVerest is up and listens. */
  readonly heardAt?: number;
  /** An earlier leader has found it gone, and it has not been heard since. */
  readonly foundAway?: true;
  /** Heartbeats in line since the newest evidence of a second station. */
  readonly beatsInLine?: number;
  /** When heartbeat ids began anew by no restart of Khumbu's, newest last. */
  readonly restarts: readonly number[];
  /** Where the count stood when it began anew. One station never goes on from there; two stations do. */
  readonly abandonedId?: number;
  /** When an abandoned count went on, newest last. */
  readonly resumptions: readonly number[];
  /** More than one module answered to one question. */
  readonly twoModulesAt?: number;
  readonly communication?: CommunicationParameters;
}

export const NEVER_HEARD: Presence = { restarts: [], resumptions: [] };

/** Requests that come from the CSMS prove that the station's OCPP side is up, which starts after its subscriptions. */
export const PROVES_LISTENING: ReadonlySet<string> = new Set([
  'update_firmware',
  'upload_logs',
  'is_reset_allowed',
  'reset',
  'set_system_time',
  'allow_firmware_installation',
]);

/** The heartbeat period: as in discovery, or as it was seen; `undefined`: none, or not known. */
export function heartbeatPeriodMs(presence: Presence): number | undefined {
  const told = presence.communication?.heartbeat_period_ms;
  if (told !== undefined) return told > 0 ? told : undefined;
  const { heartbeatAt, previousHeartbeatAt } = presence;
  if (heartbeatAt === undefined || previousHeartbeatAt === undefined) return undefined;
  return Math.max(1000, heartbeatAt - previousHeartbeatAt);
}

/**
 * It has heartbeats, and none was received since a takeover: it may be another boot than the stored one, and what EVerest permits in
 * one boot must not count for the other.
 */
export const isBootUnsure = (presence: Presence): boolean =>
  presence.handedOver === true && presence.heartbeatAt !== undefined && (heartbeatPeriodMs(presence) ?? 0) > 0;

/** Whether EVerest would receive nothing: it has had heartbeats and they stopped. A station without heartbeats is there. */
export function isAway(presence: Presence, now: number): boolean {
  if (presence.foundAway) return true;
  const period = heartbeatPeriodMs(presence);
  if (period === undefined || presence.heardAt === undefined) return false;
  return now - presence.heardAt > PERIODS_UNTIL_AWAY * period;
}

/**
 * After a gap in which no leader listened, a restart shows in an id that is behind the count that would have gone on, and
 * that a count which began in the gap can have reached. A quarter is left for periods that are not what they were told
 * to be: a busy station loses beats, and one that has counted for longer than the gap did not begin in it.
 */
function isBehind({ heartbeatId, heartbeatAt, communication }: Presence, id: number, now: number): boolean {
  const period = communication?.heartbeat_period_ms ?? 0;
  if (heartbeatId === undefined || heartbeatId < 0 || heartbeatAt === undefined || period <= 0) return false;
  const gap = now - heartbeatAt;
  const fewest = (gap - HANDOVER_SLACK_MS) / period;
  return (
    fewest > PERIODS_UNTIL_AWAY &&
    id - heartbeatId < fewest * (1 - PERIOD_TOLERANCE) &&
    id <= (gap / period) * (1 + PERIOD_TOLERANCE)
  );
}

/**
 * Whether the count has begun anew. A broker that stood still (or the network before it) ends the session, and then passes
 * on at once what stations have sent meanwhile: heartbeats that are behind as well, and of the same boot. Those of
 * another boot are behind and come no faster than it counts. `open`: one is behind, and its pace is not known yet.
 */
function countedAnew(presence: Presence, id: number, now: number): boolean | 'open' {
  const { heartbeatId, handedOver, behind, communication } = presence;
  if (heartbeatId === undefined) return false;
  if (id <= heartbeatId) return true;
  if (!handedOver || !isBehind(presence, id, now)) return false;
  if (!behind) return 'open';
  const beats = id - behind.id;
  if (beats <= 0) return true;
  const leastMs = beats * (communication?.heartbeat_period_ms ?? 0) * (1 - PERIOD_TOLERANCE);
  return beats >= PACE_BEATS && now - behind.at >= leastMs ? true : 'open';
}

/** How long EVerest had not been heard before the count that is heard now. */
export const silenceBefore = ({ behind, heardAt }: Presence, now: number): number | undefined =>
  behind?.silentMs ?? (heardAt === undefined ? undefined : now - heardAt);

export interface HeardHeartbeat {
  /** The id did not rise, EVerest has started anew; `open`: the next heartbeats tell. */
  readonly restarted: boolean | 'open';
  /** It was not there before this heartbeat, or this is the first one. */
  readonly returned: boolean;
  readonly presence: Presence;
  /** The presence before it is known whether a restart was ours. */
  readonly unjudged: Presence;
}

export function hearHeartbeat(presence: Presence, id: number, now: number): HeardHeartbeat {
  const isNext =
    presence.heartbeatAt !== undefined && presence.heartbeatId === id - 1 && id > 0 && presence.abandonedId !== id - 1;
  if (isNext && !presence.handedOver) {
    // By far the most: the count goes on.
    const returned = isAway(presence, now);
    const next = { heartbeatId: id, heartbeatAt: now, heardAt: now, previousHeartbeatAt: presence.heartbeatAt };
    const heard = beatInLine({ ...presence, ...next }, now);
    return { restarted: false, returned, presence: heard, unjudged: heard };
  }
  const restarted = countedAnew(presence, id, now);
  if (restarted === 'open') {
    // It is there, whichever boot it is.
    const { behind = { id, at: now, silentMs: silenceBefore(presence, now) ?? 0 }, ...before } = presence;
    const open = { ...provenListening(before, now), behind };
    return { restarted, returned: isAway(presence, now), presence: open, unjudged: open };
  }
  const {
    heartbeatId,
    heartbeatAt,
    abandonedId,
    previousHeartbeatAt: _previous,
    countBeganAt,
    countHeardAt,
    begunAt: _begunAt,
    beaconAt,
    handedOver: _handedOver,
    behind,
    foundAway: _foundAway,
    ...rest
  } = presence;
  const resumed = abandonedId !== undefined && id === abandonedId + 1 && heartbeatId !== abandonedId;
  const leaves = restarted || resumed ? heartbeatId : abandonedId;
  const begins = restarted || heartbeatId === -1;
  const firstAt = behind?.at ?? now;
  const beganAt = begins ? firstAt : countBeganAt;
  const next: Presence = {
    ...rest,
    ...(resumed ? { resumptions: oneMore(presence, now), beatsInLine: 0 } : {}),
    heartbeatId: id,
    heartbeatAt: now,
    heardAt: now,
    countHeardAt: begins ? firstAt : (countHeardAt ?? firstAt),
    ...(beganAt === undefined ? {} : { countBeganAt: beganAt }),
    ...(begins || beaconAt === undefined ? {} : { beaconAt }),
    ...(leaves === undefined ? {} : { abandonedId: leaves }),
    // The gap of a restart says nothing about the period.
    ...(heartbeatAt === undefined || restarted ? {} : { previousHeartbeatAt: heartbeatAt }),
  };
  return {
    restarted,
    returned: heartbeatAt === undefined || begins || isAway(presence, now),
    // A restart that was not heard by this process says nothing of what is heard now.
    presence: restarted ? restartCounted(next, presence.handedOver ? 0 : id, now) : next,
    unjudged: next,
  };
}

/**
 * Modules at the station say that they have started. Each of them says so once in each start, and not all at once: it is
 * a sign of another boot only when this one's count has gone on for longer than that.
 */
export function beaconHeard(presence: Presence, now: number): Presence {
  const { countBeganAt, heartbeatId = -1 } = presence;
  const ageMs = countBeganAt === undefined ? heartbeatId * (heartbeatPeriodMs(presence) ?? 0) : now - countBeganAt;
  return heartbeatId >= 0 && ageMs > BEACONS_SPREAD_MS ? { ...presence, beaconAt: now } : presence;
}

/** Something that proves that EVerest is up and listens was heard, and it was no heartbeat. */
export function provenListening({ foundAway: _foundAway, ...presence }: Presence, now: number): Presence {
  return { ...presence, heardAt: now };
}

/** The newest restart was ours: the count before it has come to its end. */
export function restartExplained({ abandonedId: _abandoned, ...presence }: Presence): Presence {
  return presence;
}

/**
 * A question was the first sign of a boot; the next heartbeat is not another boot, whatever its id. Where no count went on
 * when the question came (`before`), a heartbeat that was heard since then is the first of this boot.
 */
export function bootBegun(presence: Presence, before: Pick<Presence, 'heartbeatId'>, now: number): Presence {
  const { abandonedId: _abandoned, beaconAt: _beacon, behind: _behind, ...rest } = presence;
  const { heartbeatId = -1, countHeardAt = now } = presence;
  if ((before.heartbeatId ?? -1) < 0 && heartbeatId >= 0) return { ...rest, countBeganAt: countHeardAt };
  return { ...rest, heartbeatId: -1, begunAt: now };
}
