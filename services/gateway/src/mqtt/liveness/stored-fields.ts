/** What is stored of a station that is heard, and what the next leader makes of it. Pure. */
import type { Moment } from '@khumbu/operations/clock/depot-clock';
import { type Heartbeat, STATION_FIELDS, type StationState } from '@khumbu/operations/stations/station-state';
import { heartbeatPeriodMs, NEVER_HEARD, type Presence } from './presence.js';
import type { Station } from './station.js';

function periodOf(presence: Presence): { periodMs?: number } {
  const periodMs = heartbeatPeriodMs(presence);
  return periodMs === undefined ? {} : { periodMs: Math.round(periodMs) };
}

/**
 * The fields as they are now; `mono` is the clock of `presence`. The first heartbeat of a boot that is not counted yet is left out: by
 * the one before it the next leader notices the boot, should this one not come to count it.
 */
export function storedFields(entry: Station, { wall, monotonic }: Moment, mono: number): [string, string][] {
  const { heartbeatId, heartbeatAt, heardAt, communication } = entry.presence;
  const fields: [string, string][] = [[STATION_FIELDS.moduleId, entry.moduleId]];
  const lastHeardAt = Math.max(heardAt ?? 0, entry.lastMessageAt ?? 0);
  if (lastHeardAt > 0) fields.push([STATION_FIELDS.lastSeenAt, String(Math.round(wall - (mono - lastHeardAt)))]);
  const isCounted = entry.bootsCounted === entry.bootsNoticed;
  if (isCounted && heartbeatId !== undefined && heartbeatAt !== undefined) {
    const at = Math.round(wall - (mono - heartbeatAt));
    const heartbeat: Heartbeat = { id: heartbeatId, at, steadyAt: at - wall + monotonic, ...periodOf(entry.presence) };
    fields.push([STATION_FIELDS.heartbeat, JSON.stringify(heartbeat)]);
  }
  if (communication) fields.push([STATION_FIELDS.communication, JSON.stringify(communication)]);
  if (entry.ocppConsumer !== undefined) fields.push([STATION_FIELDS.ocppConsumer, entry.ocppConsumer]);
  if (entry.transactions) fields.push([STATION_FIELDS.transactions, JSON.stringify(entry.transactions)]);
  if (entry.learnedDialect !== 'unknown') fields.push([STATION_FIELDS.learnedDialect, entry.learnedDialect]);
  return fields;
}

/**
 * How old a stored heartbeat is. Pure. The monotonic clock tells while this process has followed it. Before that the whole
 * depot may have been off, and the clock with it: then the date counts, where it says more. A boot too many asks for a
 * permission once more; a boot unnoticed would take an old one for good.
 */
export const ageOfHeartbeat = ({ at, steadyAt }: Heartbeat, { wall, monotonic }: Moment, openedAt: number): number => {
  const byDepotClock = Math.max(0, monotonic - (steadyAt ?? monotonic));
  return steadyAt !== undefined && steadyAt >= openedAt ? byDepotClock : Math.max(byDepotClock, wall - at);
};

/** Old heartbeats keep their age. `openedAt`: the monotonic time at which this process began to follow the depot's clock. */
export function storedPresence(
  { heartbeat, communication, awaySince }: StationState,
  now: Moment,
  mono: number,
  openedAt: number,
): Presence {
  const heardAt = heartbeat && mono - ageOfHeartbeat(heartbeat, now, openedAt);
  return {
    ...NEVER_HEARD,
    ...(communication ? { communication } : {}),
    ...(awaySince === undefined ? {} : { foundAway: true as const }),
    ...(heartbeat && heardAt !== undefined
      ? { heartbeatId: heartbeat.id, heartbeatAt: heardAt, heardAt, handedOver: true as const }
      : {}),
  };
}

/** What an earlier leader has stored of a station, beside its presence. */
export const knownBefore = (state: StationState): Partial<Station> => ({
  dirty: false,
  stored: {
    heard: state.firstSeenAt !== undefined,
    duplicate: state.conflictSince !== undefined,
    away: state.awaySince !== undefined,
  },
  ...(state.ocppConsumer === undefined ? {} : { ocppConsumer: state.ocppConsumer }),
  ...(state.transactions === undefined ? {} : { transactions: state.transactions }),
  learnedDialect: state.learnedDialect ?? 'unknown',
});
