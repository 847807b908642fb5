/** One status on its way to EVerest: published, or why it waits. */
import { isFinalStatus } from '@khumbu/operations/kinds/kinds';
import type { OutboxEntry } from '@khumbu/operations/outbox/entry';
import { CHANNELS } from '@khumbu/shared/contract/channels';
import { encode } from '@khumbu/shared/contract/codec';
import { channelTopic } from '@khumbu/shared/contract/topics';
import type { Core } from '../core.js';
import { bootSince, markBoot } from '../liveness/boot-mark.js';
import type { Station } from '../liveness/station.js';
import { type Clock, type Held, heldBecause, isEarly } from './held-status.js';

/** A status that the broker has not acknowledged for so long shows that statuses do not move. */
const BLOCKED_MS = 3000;

type Deps = Pick<Core, 'registry' | 'prefix' | 'publish' | 'now' | 'log' | 'metrics'>;

export function createStatusSender({ registry, prefix, publish, now, log, metrics }: Deps) {
  let blockedSince: number | undefined;

  /** The bytes, or `undefined` for an entry EVerest would drop: it must not stand in the way of all that follow. */
  const encoded = (station: string, { channel, payload, operationId }: OutboxEntry): string | undefined => {
    try {
      return encode(channel, payload);
    } catch (error) {
      log.error({ station, operationId, err: error }, 'a status that breaks the contract is left out');
      return undefined;
    }
  };

  const toStation = async (station: Station, entry: OutboxEntry, clock: Clock): Promise<Held> => {
    const payload = encoded(station.station, entry);
    if (payload === undefined) return undefined;
    const topic = channelTopic(prefix, station, entry.channel);
    const mark = markBoot(station);
    // EVerest that lost its connection has lost its subscriptions too, long before its heartbeats are missed.
    if (!(await publish(topic, payload, CHANNELS[entry.channel].qos))) return 'not_listening';
    // The boot before may have received it. An end stays for the one that has begun.
    if (bootSince(mark, station) === 'another' && isFinalStatus(entry)) return 'booting';
    station.published = { entry, at: clock.ownMs, isUnheard: true, isEarly: isEarly(entry, station, clock) };
    log.info({ station: station.station, operationId: entry.operationId, status: entry.payload }, 'status told');
    metrics.statusesTold.inc();
    return undefined;
  };

  return {
    /** Resolves with why it waits; `undefined`: it is published, or not worth publishing any more. */
    async send(name: string, entry: OutboxEntry): Promise<Held> {
      const station = registry.get(name);
      const clock = { depotMs: now().monotonic, ownMs: performance.now() };
      if (entry.expiresAt <= clock.depotMs) {
        log.warn({ station: name, operationId: entry.operationId }, 'status expired untold');
        return undefined;
      }
      const because = heldBecause(entry, station, clock);
      if (because || !station) return because;
      blockedSince ??= performance.now();
      try {
        return await toStation(station, entry, clock);
      } finally {
        blockedSince = undefined;
      }
    },
    /** Nothing that could be published has been waiting for long. */
    moves: (): boolean => blockedSince === undefined || performance.now() - blockedSince < BLOCKED_MS,
  };
}
