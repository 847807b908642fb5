/**
 * Whether a station's OCPP side is up, for stations that expose `ocpp_consumer_API`: a status sent before the CSMS has
 * accepted the station is lost.
 */
import { mismatch } from '@khumbu/shared/contract/codec';
import { BootNotificationResponse, ConnectionStatus } from '@khumbu/shared/contract/schemas';
import { DISCOVERY, OCPP_CONSUMER, type TopicPrefix } from '@khumbu/shared/contract/topics';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Logger } from '@khumbu/shared/runtime/logger';
import type { Registry, Station } from '../stations/registry.js';

export interface OcppSideDeps {
  readonly registry: Registry;
  readonly prefix: TopicPrefix;
  readonly publish: (topic: string, payload: string, qos: 0 | 1) => Promise<void>;
  readonly onRegistered: (station: string) => void;
  readonly log: Logger;
}

/** Answers to our questions for latched values come to topics of this form, below our answer topic. */
const latchedId = (leaf: string, station: string): string => `latched-${leaf}-${station}`;
const LATCHED = /\/latched-([a-z_]+)-(.+)$/;

export function createOcppSide({ registry, prefix, publish, onRegistered, log }: OcppSideDeps) {
  /** Without a prefix per station a module cannot be told to belong to one of several stations. */
  const stationOf = (station: string): Station | undefined => {
    if (prefix.perStation) return registry.get(station);
    const [only, another] = registry.all();
    return another ? undefined : only;
  };

  const learn = (entry: Station, leaf: string, value: unknown): void => {
    if (leaf === 'boot_notification_response' && !mismatch(BootNotificationResponse, value)) {
      entry.registered = (value as { status: string }).status === 'Accepted';
      if (entry.registered) onRegistered(entry.station);
    }
    if (leaf === 'connection_status' && !mismatch(ConnectionStatus, value)) {
      const version = (value as { ocpp_version?: string }).ocpp_version;
      if (version === undefined) return;
      entry.learnedDialect = version.startsWith('1.') ? 'ocpp1.6' : 'ocpp2.x';
      entry.dirty = true;
    }
  };

  const hear = (entry: Station | undefined, leaf: string, payload: Uint8Array): void => {
    if (!entry) return;
    let value: unknown;
    try {
      value = JSON.parse(Buffer.from(payload).toString('utf8'));
    } catch {
      log.debug({ station: entry.station, leaf }, 'not JSON');
      return;
    }
    learn(entry, leaf, value);
  };

  return {
    /** A station exposes the API: ask for what it has already said in this boot. */
    discovered(station: string, moduleId: string): void {
      const entry = stationOf(station);
      if (!entry) return;
      if (entry.ocppConsumer !== moduleId) {
        entry.ocppConsumer = moduleId;
        entry.dirty = true;
      }
      for (const leaf of OCPP_CONSUMER.leaves) {
        const replyTo = DISCOVERY.answerTopic(latchedId(leaf, entry.station));
        const topic = OCPP_CONSUMER.getTopic(prefix, entry.station, moduleId, leaf);
        publish(topic, JSON.stringify({ headers: { replyTo } }), 1).catch((error: unknown) => {
          if (!hasCode(error, 'MQTT_CLOSED'))
            log.debug({ reason: describeError(error) }, 'latched value not asked for');
        });
      }
    },

    /** A value as it is published. */
    hearPublished: (station: string, leaf: string, payload: Uint8Array): void =>
      hear(stationOf(station), leaf, payload),

    /** A latched value we asked for. `false`: this topic is something else. */
    hearLatched(topic: string, payload: Uint8Array): boolean {
      const match = LATCHED.exec(topic);
      if (!match) return false;
      hear(registry.get(match[2] ?? ''), match[1] ?? '', payload);
      return true;
    },
  };
}
