/**
 * Whether a station's EVerest is there, from what is stored: the leader notes each heartbeat within seconds, and when they
 * stop. Pure.
 */
import type { Moment } from '../clock/depot-clock.js';
import type { FirmwareUpdateRecord } from '../kinds/firmware-update/record.js';
import type { StationState } from './station-state.js';

export type EverestPresence = 'here' | 'away' | 'never_heard';

/** As many silent periods as the leader waits for. */
const PERIODS_UNTIL_AWAY = 3;
/** A heartbeat is stored this much later than it was heard, at most: between two flushes, or two leaders. */
const STORED_LATE_MS = 6000;
/** How long a permission counts, since it was given or EVerest was last heard, where no heartbeats tell that it lives. */
const PERMISSION_WITHOUT_HEARTBEATS_MS = 3600_000;

/** As the leader has found it. A station without heartbeats that was heard once counts as there. */
export function presenceOf(state: StationState): EverestPresence {
  const isHeard = state.firstSeenAt !== undefined || state.lastSeenAt !== undefined || state.heartbeat !== undefined;
  if (!isHeard) return 'never_heard';
  return state.awaySince === undefined ? 'here' : 'away';
}

/** The heartbeat period it has or tells; `undefined`: it sends none, or their period is unknown. */
function periodOf({ heartbeat, communication }: StationState): number | undefined {
  const told = communication?.heartbeat_period_ms;
  if (heartbeat === undefined || (told !== undefined && told <= 0)) return undefined;
  return told ?? heartbeat.periodMs;
}

/** Milliseconds since the newest heartbeat that is stored. */
const ageOf = ({ at, steadyAt }: NonNullable<StationState['heartbeat']>, now: Moment): number =>
  steadyAt === undefined ? now.wall - at : now.monotonic - steadyAt;

export type InstallStart =
  /** Nothing speaks against it. */
  | 'begin'
  | { readonly waitFor: 'station_away' | 'station_never_heard' }
  /** The permission may be that of a process that has died, and nothing will tell: ask for it again. */
  | 'ask_again';

/**
 * Whether the state of EVerest lets an install begin. It is the only one who knows whether a car is charging, so:
 *
 * | EVerest | its permission, or none needed | permission of an operator (REST) |
 * |---|---|---|
 * | beats | begin | begin |
 * | its beats have stopped | wait: it counts again when this boot is heard again, and is void for another one | begin |
 * | has no heartbeats | begin; its permission within an hour after it was given or EVerest was last heard, then ask again | begin |
 * | never heard | wait | wait |
 */
export function decideInstallStart(
  record: Pick<FirmwareUpdateRecord, 'permission' | 'permissionNeeded'>,
  state: StationState,
  now: Moment,
): InstallStart {
  const presence = presenceOf(state);
  if (presence === 'never_heard') return { waitFor: 'station_never_heard' };
  const { permission, permissionNeeded } = record;
  if (permission?.by === 'rest') return 'begin';
  if (presence === 'away') return { waitFor: 'station_away' };
  const period = periodOf(state);
  if (period !== undefined && state.heartbeat) {
    const isSilent = ageOf(state.heartbeat, now) > PERIODS_UNTIL_AWAY * period + STORED_LATE_MS;
    return isSilent ? { waitFor: 'station_away' } : 'begin';
  }
  if (!permissionNeeded || permission === undefined) return 'begin';
  const lastSign = Math.max(permission.at, state.lastSeenAt ?? 0);
  return now.wall - lastSign > PERMISSION_WITHOUT_HEARTBEATS_MS ? 'ask_again' : 'begin';
}
