/**
 * Publishes what is in the outboxes: of one station one after the other, all stations beside each other. An entry leaves
 * its outbox after the broker has acknowledged it; after a crash it is published again, directly after itself. Entries for
 * a station that is not there wait.
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
import { bootSince, markBoot } from '../liveness/boot-mark.js';
import type { Registry } from '../liveness/registry.js';
import type { Station } from '../liveness/station.js';
import { type Clock, type Held, heldBecause, isEarly, type NotPublished, PASSES } from './held-status.js';

/** How often stations with held entries are looked at, and all outboxes in case a notification was lost. */
const LOOK_MS = 250;
const SWEEP_MS = 2000;
/** A status that the broker has not acknowledged for so long shows that statuses do not move. */
const BLOCKED_MS = 3000;

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

type SenderDeps = Pick<StatusPublisherDeps, 'prefix' | 'publish' | 'log' | 'onSent'>;

/** One status on its way. Resolves with `undefined` when it is done with: published, or broken. */
function createSend({ prefix, publish, log, onSent }: SenderDeps) {
  /** The bytes, or `undefined` for an entry EVerest would drop: it must not stand in the way of all that follow. */
  const encoded = (station: string, { channel, payload, operationId }: OutboxEntry): string | undefined => {
    try {
      return encode(channel, payload);
    } catch (error) {
      log.error({ station, operationId, err: error }, 'a status that breaks the contract is left out');
      return undefined;
    }
  };

  return async (station: Station, entry: OutboxEntry, clock: Clock): Promise<Held> => {
    const payload = encoded(station.station, entry);
    if (payload === undefined) return undefined;
    const topic = channelTopic(prefix, station, entry.channel);
    const mark = markBoot(station);
    // EVerest that lost its connection has lost its subscriptions too, long before its heartbeats are missed.
    if (!(await publish(topic, payload, CHANNELS[entry.channel].qos))) return 'not_listening';
    // The boot before may have received it. An end stays for the one that has begun.
    if (bootSince(mark, station) === 'another' && isFinalStatus(entry)) return 'booting';
    station.published = { entry, at: clock.mono, isUnheard: true, isEarly: isEarly(entry, station, clock) };
    log.info({ station: station.station, operationId: entry.operationId, status: entry.payload }, 'status told');
    onSent?.(station.station, entry);
    return undefined;
  };
}

export type StatusPublisher = ReturnType<typeof createStatusPublisher>;

export function createStatusPublisher(deps: StatusPublisherDeps) {
  const { store, registry, now, log } = deps;
  const send = createSend(deps);
  const running = new Set<string>();
  const again = new Set<string>();
  /** What is published once more before anything else of that station. */
  const onceMore = new Map<string, OutboxEntry>();
  const held = new Map<string, NotPublished>();
  let stopped = false;
  let blockedSince: number | undefined;

  /** `undefined`: published, or not worth publishing any more. */
  const publishOne = async (name: string, entry: OutboxEntry): Promise<Held> => {
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
      const because = next && (await publishOne(name, next));
      if (because) {
        held.set(name, because);
        return;
      }
      // One that was to be repeated meanwhile is older than what has just been published: it would come out of order.
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
    /** The station was heard: what waits for it may be published. What does not wait is published already, or on its way. */
    heard(station: string): void {
      if (held.has(station)) void kick(station);
    },
    /** The entry that was published last was probably not heard: again, before any other. */
    publishOnceMore(station: string, entry: OutboxEntry): void {
      onceMore.set(station, entry);
      void kick(station);
    },
    /** All outboxes, for instance at the start. */
    sweep,
    /** Nothing that could be published has been waiting for long. */
    moves: (): boolean => blockedSince === undefined || performance.now() - blockedSince < BLOCKED_MS,
    stop(): void {
      stopped = true;
      clearInterval(look);
      clearInterval(sweeper);
    },
  };
}
