/**
 * Tells EVerest what is in the outboxes: one station after itself, all stations beside each other. An entry leaves its
 * outbox after the broker has acknowledged it; after a crash it is told again, directly after itself. Entries for a
 * station that is not there are held.
 */
import { performance } from 'node:perf_hooks';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import type { Store } from '@khumbu/operations/records/store';
import { CHANNELS } from '@khumbu/shared/contract/channels';
import { encode } from '@khumbu/shared/contract/codec';
import { channelTopic, type TopicPrefix } from '@khumbu/shared/contract/topics';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import { heartbeatPeriodMs, isAway } from '../stations/presence.js';
import type { Registry, Station } from '../stations/registry.js';

/** How often stations with held entries are looked at, and all outboxes in case a hint was lost. */
const LOOK_MS = 250;
const SWEEP_MS = 1000;

export interface StatusPumpDeps {
  readonly store: Store;
  readonly registry: Registry;
  readonly prefix: TopicPrefix;
  readonly publish: (topic: string, payload: string, qos: 0 | 1) => Promise<void>;
  readonly log: Logger;
  readonly onSent?: (station: string, entry: OutboxEntry) => void;
}

/** Why an entry is not told yet; `undefined`: tell it. Pure. Wall time for what was stored, monotonic for what is heard. */
export function heldBecause(
  entry: OutboxEntry,
  station: Station | undefined,
  clock: { readonly wall: number; readonly mono: number },
): 'unknown_station' | 'away' | 'booting' | 'not_registered' | 'settling' | undefined {
  if (!station) return 'unknown_station';
  if (isAway(station.presence, clock.mono)) return 'away';
  const boot = entry.afterBoot;
  if (!boot) return undefined;
  const { heartbeatAt } = station.presence;
  const sinceBootMs = clock.wall - boot.at;
  const beats = heartbeatAt !== undefined && (heartbeatPeriodMs(station.presence) ?? 0) > 0;
  // A station with heartbeats is back when one is heard that is younger than the boot we saw.
  if (beats && clock.mono - heartbeatAt > sinceBootMs) return 'booting';
  if (station.ocppConsumer !== undefined) return station.registered ? undefined : 'not_registered';
  return sinceBootMs < boot.settleMs ? 'settling' : undefined;
}

export type StatusPump = ReturnType<typeof createStatusPump>;

export function createStatusPump({ store, registry, prefix, publish, log, onSent }: StatusPumpDeps) {
  const running = new Set<string>();
  const again = new Set<string>();
  const held = new Set<string>();
  let stopped = false;
  let lastProgressAt = performance.now();
  let blockedSince: number | undefined;

  const send = async (station: Station, entry: OutboxEntry): Promise<void> => {
    const topic = channelTopic(prefix, station, entry.channel);
    await publish(topic, encode(entry.channel, entry.payload), CHANNELS[entry.channel].qos);
    log.info({ station: station.station, operationId: entry.operationId, status: entry.payload }, 'status told');
    onSent?.(station.station, entry);
  };

  const drain = async (name: string): Promise<void> => {
    held.delete(name);
    for (;;) {
      if (stopped) return;
      const entry = await store.headOfOutbox(name);
      if (!entry) {
        await store.popOutbox(name, '');
        return;
      }
      const station = registry.get(name);
      const clock = { wall: Date.now(), mono: performance.now() };
      if (entry.expiresAt > clock.wall) {
        if (!station || heldBecause(entry, station, clock)) {
          held.add(name);
          return;
        }
        blockedSince ??= performance.now();
        await send(station, entry);
      } else log.warn({ station: name, operationId: entry.operationId }, 'status expired untold');
      blockedSince = undefined;
      lastProgressAt = performance.now();
      if (!(await store.popOutbox(name, entry.id))) return;
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
      if (!hasCode(error, 'MQTT_CLOSED')) log.warn({ station: name, reason: describeError(error) }, 'status not told');
      held.add(name);
    } finally {
      running.delete(name);
    }
  };

  const sweep = async (): Promise<void> => {
    try {
      for (const name of await store.stationsWithOutbox()) if (!held.has(name)) void kick(name);
    } catch (error) {
      log.debug({ reason: describeError(error) }, 'outboxes not read');
    }
  };

  const look = setInterval(() => {
    for (const name of Array.from(held)) void kick(name);
  }, LOOK_MS);
  const sweeper = setInterval(() => void sweep(), SWEEP_MS);

  return {
    /** Something may be in this station's outbox, or the station may have come back. */
    kick: (station: string): void => void kick(station),
    /** All outboxes, for instance at the start. */
    sweep,
    /** Nothing that could be told has been waiting for long. */
    moves: (): boolean => blockedSince === undefined || performance.now() - blockedSince < 3000,
    lastProgressAt: () => lastProgressAt,
    stop(): void {
      stopped = true;
      clearInterval(look);
      clearInterval(sweeper);
    },
  };
}
