/**
 * Tells EVerest what is in the outboxes: one station after itself, all stations beside each other. An entry leaves its
 * outbox after the broker has acknowledged it; after a crash it is told again, directly after itself. Entries for a
 * station that is not there are held.
 */

import { performance } from 'node:perf_hooks';
import type { Now } from '@khumbu/operations/clock/depot-clock';
import { isFinalStatus } from '@khumbu/operations/kinds/final-status';
import type { Store } from '@khumbu/operations/kinds/store';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import { CHANNELS } from '@khumbu/shared/contract/channels';
import { encode } from '@khumbu/shared/contract/codec';
import { channelTopic, type TopicPrefix } from '@khumbu/shared/contract/topics';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { heartbeatPeriodMs, isAway, isBootUnsure, type Presence } from '../liveness/presence.js';
import type { Registry } from '../liveness/registry.js';
import type { Station } from '../liveness/station.js';

/** How often stations with held entries are looked at, and all outboxes in case a hint was lost. */
const LOOK_MS = 250;
const SWEEP_MS = 2000;

/** EVerest as it was may beat on for a moment after what was waited for has come: a stop takes its time. */
const LINGERS_MS = 3000;

export interface StatusPublisherDeps {
  readonly store: Store;
  readonly registry: Registry;
  readonly prefix: TopicPrefix;
  /** Resolves with whether somebody may have heard it. */
  readonly publish: (topic: string, payload: string, qos: 0 | 1) => Promise<boolean>;
  readonly now: Now;
  readonly log: Logger;
  readonly onSent?: (station: string, entry: OutboxEntry) => void;
}

type Held =
  | 'unknown_station'
  | 'away'
  | 'not_listening'
  | 'boot_unsure'
  | 'booting'
  | 'not_registered'
  | 'settling'
  | undefined;

/** What passes with time is looked at often; what waits for the station to be heard is kicked then. */
const PASSES: Record<Exclude<Held, undefined> | 'not_told', boolean> = {
  unknown_station: false,
  away: false,
  not_listening: true,
  boot_unsure: true,
  booting: true,
  not_registered: false,
  settling: true,
  not_told: true,
};

/** EVerest gives its permission in answer to these; OCPP 2.x only the first time it hears them in a boot. */
const ASKS_PERMISSION: ReadonlySet<unknown> = new Set(['Downloaded', 'SignatureVerified']);

const asksPermission = ({ channel, payload }: OutboxEntry): boolean =>
  channel === 'firmware_update_status' &&
  ASKS_PERMISSION.has((payload as { readonly firmware_update_status?: unknown }).firmware_update_status);

type AfterBoot = NonNullable<OutboxEntry['afterBoot']>;

/** The depot's monotonic clock for what was stored, our monotonic one for what is heard. */
interface Clock {
  readonly monotonic: number;
  readonly mono: number;
}

/** The heartbeats that are heard now are those of the boot that was waited for. */
function countsAnew({ countBeganAt }: Presence, { at, begunAt = at }: AfterBoot, clock: Clock): boolean {
  return countBeganAt !== undefined && clock.mono - countBeganAt <= clock.monotonic - begunAt;
}

/** Why an entry is not told yet; `undefined`: tell it. Pure. */
export function heldBecause(entry: OutboxEntry, station: Station | undefined, clock: Clock): Held {
  if (!station) return 'unknown_station';
  if (isAway(station.presence, clock.mono)) return 'away';
  const { heartbeatAt } = station.presence;
  const beats = heartbeatAt !== undefined && (heartbeatPeriodMs(station.presence) ?? 0) > 0;
  if (isBootUnsure(station.presence) && asksPermission(entry)) return 'boot_unsure';
  const boot = entry.afterBoot;
  if (!boot) return undefined;
  const sinceBootMs = clock.monotonic - boot.at;
  // A station with heartbeats is back when one is heard that is younger than the boot we saw.
  if (beats && clock.mono - heartbeatAt > sinceBootMs) return 'booting';
  // A count that goes on is EVerest as it was; should it go on for longer, it does so through boots.
  const lingers = beats && clock.mono - heartbeatAt > sinceBootMs - LINGERS_MS;
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
  const sinceBootMs = clock.monotonic - boot.at;
  if (returnedAt === undefined) return sinceBootMs;
  const sinceReturnMs = clock.mono - returnedAt;
  return countsAnew(presence, boot, clock) ? sinceReturnMs : Math.min(sinceBootMs, sinceReturnMs);
}

/**
 * A heartbeat of the boot before may come late, by the broker or by ourselves, and look like a sign of the one that was
 * waited for. Only a count that began anew shows which boot it is. Pure.
 */
function isEarly({ afterBoot }: OutboxEntry, { presence }: Station, clock: Clock): boolean {
  if (!afterBoot || heartbeatPeriodMs(presence) === undefined) return false;
  return !countsAnew(presence, afterBoot, clock);
}

export type StatusPublisher = ReturnType<typeof createStatusPublisher>;

export function createStatusPublisher({ store, registry, prefix, publish, now, log, onSent }: StatusPublisherDeps) {
  const running = new Set<string>();
  const again = new Set<string>();
  /** What is told once more before anything else of that station. */
  const onceMore = new Map<string, OutboxEntry>();
  const held = new Map<string, Exclude<Held, undefined> | 'not_told'>();
  let stopped = false;
  let blockedSince: number | undefined;

  /** The bytes, or `undefined` for an entry EVerest would drop: it must not stand in the way of all that follow. */
  const encoded = (station: string, entry: OutboxEntry): string | undefined => {
    try {
      return encode(entry.channel, entry.payload);
    } catch (error) {
      log.error(
        { station, operationId: entry.operationId, err: error },
        'a status that breaks the contract is left out',
      );
      return undefined;
    }
  };

  /** EVerest that lost its connection has lost its subscriptions too, long before its heartbeats are missed. */
  const send = async (station: Station, entry: OutboxEntry, clock: Clock): Promise<Held> => {
    const payload = encoded(station.station, entry);
    if (payload === undefined) return undefined;
    const topic = channelTopic(prefix, station, entry.channel);
    const { bootsNoticed } = station;
    if (!(await publish(topic, payload, CHANNELS[entry.channel].qos))) return 'not_listening';
    // It may have been told to EVerest as it was before. An end stays for the one that has come.
    if (station.bootsNoticed !== bootsNoticed && isFinalStatus(entry)) return 'booting';
    station.toldUnconfirmed = entry;
    station.toldEarly = isEarly(entry, station, clock) ? { entry, at: clock.mono } : undefined;
    log.info({ station: station.station, operationId: entry.operationId, status: entry.payload }, 'status told');
    onSent?.(station.station, entry);
    return undefined;
  };

  /** `undefined`: told, or not worth telling any more. */
  const tell = async (name: string, entry: OutboxEntry): Promise<Held> => {
    const station = registry.get(name);
    const clock = { monotonic: now().monotonic, mono: performance.now() };
    if (entry.expiresAt <= clock.monotonic) {
      log.warn({ station: name, operationId: entry.operationId }, 'status expired untold');
      return undefined;
    }
    const because = heldBecause(entry, station, clock);
    if (because || !station) return because;
    blockedSince ??= performance.now();
    const unheard = await send(station, entry, clock);
    blockedSince = undefined;
    return unheard;
  };

  const drain = async (name: string): Promise<void> => {
    held.delete(name);
    while (!stopped) {
      const entry = await store.headOfOutbox(name);
      const repeated = onceMore.get(name);
      const next = repeated ?? entry;
      const because = next && (await tell(name, next));
      if (because) {
        held.set(name, because);
        return;
      }
      // One that was to be repeated meanwhile is older than what has just been told: it would come out of order.
      if (repeated || onceMore.get(name)?.operationId === next?.operationId) onceMore.delete(name);
      if (repeated) continue;
      if (!(await store.popOutbox(name, entry?.id ?? ''))) return;
    }
  };

  const kick = async (name: string): Promise<void> => {
    if (running.has(name)) {
      again.add(name);
      return;
    }
    running.add(name);
    try {
      do {
        again.delete(name);
        await drain(name);
      } while (again.has(name) && !stopped);
    } catch (error) {
      // The entry is still in the outbox; the next look tries again, or the next leader does.
      if (!hasCode(error, 'MQTT_CLOSED', 'NOT_LEADING'))
        log.warn({ station: name, reason: describeError(error) }, 'status not told');
      blockedSince = undefined;
      held.set(name, 'not_told');
    } finally {
      running.delete(name);
    }
  };

  const sweep = async (): Promise<void> => {
    try {
      for (const name of await store.stationsWithOutbox()) if (!running.has(name)) void kick(name);
    } catch (error) {
      log.debug({ reason: describeError(error) }, 'outboxes not read');
    }
  };

  const look = setInterval(() => {
    for (const [name, because] of Array.from(held)) if (PASSES[because]) void kick(name);
  }, LOOK_MS);
  const sweeper = setInterval(() => void sweep(), SWEEP_MS);

  return {
    /** Something may be in this station's outbox, or the station may have come back. */
    kick: (station: string): void => void kick(station),
    /** The station was heard: what is held for it may be told. What is not held is told already, or on its way. */
    heard(station: string): void {
      if (held.has(station)) void kick(station);
    },
    /** The entry told last was probably not heard: tell it again, before any other. */
    tellOnceMore(station: string, entry: OutboxEntry): void {
      onceMore.set(station, entry);
      void kick(station);
    },
    /** All outboxes, for instance at the start. */
    sweep,
    /** Nothing that could be told has been waiting for long. */
    moves: (): boolean => blockedSince === undefined || performance.now() - blockedSince < 3000,
    stop(): void {
      stopped = true;
      clearInterval(look);
      clearInterval(sweeper);
    },
  };
}
