/**
 * Why a status waits in its outbox: EVerest is not there, does not listen, or is not the boot that the status is for. Pure.
 */
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import { heartbeatPeriodMs, isAway, isBootUnsure, type Presence } from '../liveness/presence.js';
import type { Station } from '../liveness/station.js';

/** EVerest as it was may beat on for a moment after what was waited for has come: a stop takes its time. */
const LINGERS_MS = 3000;

/**
 * Why a status stays in its outbox; `not_told`: the broker or Redis failed. `true`: it passes with time and is looked at
 * often; what waits for the station to be heard is kicked then.
 */
export const PASSES = {
  unknown_station: false,
  away: false,
  not_listening: true,
  boot_unsure: true,
  booting: true,
  not_registered: false,
  settling: true,
  not_told: true,
} as const;
export type NotPublished = keyof typeof PASSES;
export type Held = Exclude<NotPublished, 'not_told'> | undefined;

/** EVerest gives its permission in answer to these; OCPP 2.x only to the first one of a boot. */
const ASKS_PERMISSION: ReadonlySet<unknown> = new Set(['Downloaded', 'SignatureVerified']);

const asksPermission = ({ channel, payload }: OutboxEntry): boolean =>
  channel === 'firmware_update_status' &&
  ASKS_PERMISSION.has((payload as { readonly firmware_update_status?: unknown }).firmware_update_status);

/**
 * Not the boot that is stored, or perhaps not. Until it is, the next leader would take it for one that began later, and its
 * permission for one of a boot that is over.
 */
const isBootUnknown = ({ presence, bootsNoticed, bootsCounted }: Station): boolean =>
  isBootUnsure(presence) || bootsCounted !== bootsNoticed;

type AfterBoot = NonNullable<OutboxEntry['afterBoot']>;

/** Now in milliseconds: on the depot's monotonic clock, of what is stored, and on this process's own, of what was received. */
export interface Clock {
  readonly depotMs: number;
  readonly ownMs: number;
}

/** The heartbeats that are heard now are those of the boot that was waited for. */
function countsAnew({ countBeganAt }: Presence, { at, begunAt = at }: AfterBoot, clock: Clock): boolean {
  return countBeganAt !== undefined && clock.ownMs - countBeganAt <= clock.depotMs - begunAt;
}

/** Why an entry is not published yet; `undefined`: publish it. Pure. */
export function heldBecause(entry: OutboxEntry, station: Station | undefined, clock: Clock): Held {
  if (!station) return 'unknown_station';
  if (isAway(station.presence, clock.ownMs)) return 'away';
  const { heartbeatAt } = station.presence;
  const beats = heartbeatAt !== undefined && (heartbeatPeriodMs(station.presence) ?? 0) > 0;
  if (isBootUnknown(station) && asksPermission(entry)) return 'boot_unsure';
  const boot = entry.afterBoot;
  if (!boot) return undefined;
  const sinceBootMs = clock.depotMs - boot.at;
  // A station with heartbeats is back with the first heartbeat after the reboot.
  if (beats && clock.ownMs - heartbeatAt > sinceBootMs) return 'booting';
  // A count that goes on is EVerest as it was; should it go on for longer, it does so through boots.
  const lingers = beats && clock.ownMs - heartbeatAt > sinceBootMs - LINGERS_MS;
  if (lingers && !countsAnew(station.presence, boot, clock)) return 'booting';
  if (station.ocppConsumer !== undefined) return station.registered ? undefined : 'not_registered';
  return settlingForMs(station.presence, boot, clock) < boot.settleMs ? 'settling' : undefined;
}

/**
 * How long EVerest has been back: since the first heartbeat of its new boot, or, without heartbeats, since its question
 * for the boot reason. The host may have been back for long before that. What began while another leader listened is
 * counted from what this one heard first.
 */
function settlingForMs(presence: Presence, boot: AfterBoot, clock: Clock): number {
  const returnedAt = presence.countHeardAt ?? presence.begunAt;
  const sinceBootMs = clock.depotMs - boot.at;
  if (returnedAt === undefined) return sinceBootMs;
  const sinceReturnMs = clock.ownMs - returnedAt;
  return countsAnew(presence, boot, clock) ? sinceReturnMs : Math.min(sinceBootMs, sinceReturnMs);
}

/**
 * A heartbeat of the boot before may come late, by the broker or by ourselves, and look like a sign of the one that was
 * waited for. Only a count that began anew shows which boot it is. Pure.
 */
export function isEarly({ afterBoot }: OutboxEntry, { presence }: Station, clock: Clock): boolean {
  if (!afterBoot || heartbeatPeriodMs(presence) === undefined) return false;
  return !countsAnew(presence, afterBoot, clock);
}
