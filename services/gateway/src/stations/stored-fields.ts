/** What is stored of a station that is heard, and what the next leader makes of it. Pure. */
import type { Moment } from '@khumbu/operations/clock/depot-clock';
import { STATION_FIELDS, type StationState } from '@khumbu/operations/stations/station-state';
import { NOBODY, type Presence } from './presence.js';
import type { Station } from './registry.js';

/** The fields as they are now; `mono` is the clock of `presence`. */
export function storedFields(entry: Station, { wall, steady }: Moment, mono: number): [string, string][] {
  const { heartbeatId, heartbeatAt, heardAt, communication } = entry.presence;
  const fields: [string, string][] = [[STATION_FIELDS.moduleId, entry.moduleId]];
  const lastHeardAt = Math.max(heardAt ?? 0, entry.lastMessageAt ?? 0);
  if (lastHeardAt > 0) fields.push([STATION_FIELDS.lastSeenAt, String(Math.round(wall - (mono - lastHeardAt)))]);
  if (heartbeatId !== undefined && heartbeatAt !== undefined) {
    const at = Math.round(wall - (mono - heartbeatAt));
    fields.push([STATION_FIELDS.heartbeat, JSON.stringify({ id: heartbeatId, at, steadyAt: at - wall + steady })]);
  }
  if (communication) fields.push([STATION_FIELDS.communication, JSON.stringify(communication)]);
  if (entry.ocppConsumer !== undefined) fields.push([STATION_FIELDS.ocppConsumer, entry.ocppConsumer]);
  if (entry.learnedDialect !== 'unknown') fields.push([STATION_FIELDS.learnedDialect, entry.learnedDialect]);
  return fields;
}

/**
 * Old heartbeats keep their age, the longer one: the steady clock stands still while the whole depot is off, the date may
 * have been set back.
 */
export function storedPresence(
  { heartbeat, communication, awaySince }: StationState,
  { wall, steady }: Moment,
  mono: number,
): Presence {
  const heardAt = heartbeat && mono - Math.max(0, wall - heartbeat.at, steady - (heartbeat.steadyAt ?? steady));
  return {
    ...NOBODY,
    ...(communication ? { communication } : {}),
    ...(awaySince === undefined ? {} : { foundAway: true as const }),
    ...(heartbeat && heardAt !== undefined
      ? { heartbeatId: heartbeat.id, heartbeatAt: heardAt, heardAt, handedOver: true as const }
      : {}),
  };
}
