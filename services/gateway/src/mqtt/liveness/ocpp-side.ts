/**
 * Whether a station's OCPP side is up, for stations that expose `ocpp_consumer_API`: a status sent before the CSMS has
 * accepted the station is lost. And whether a transaction runs there.
 */
import { randomUUID } from 'node:crypto';
import { mismatch } from '@khumbu/shared/contract/codec';
import { BootNotificationResponse, ConnectionStatus, OcppTransactionEvent } from '@khumbu/shared/contract/schemas';
import { DISCOVERY, OCPP_CONSUMER } from '@khumbu/shared/contract/topics';
import { describeError, hasCode } from '@khumbu/shared/runtime/errors';
import type { Core } from '../core.js';
import type { Station } from './station.js';
import { transactionsAfter } from './transactions.js';

type Deps = Pick<Core, 'registry' | 'prefix' | 'publish' | 'log'> & {
  readonly onRegistered: (station: string) => void;
};

/** A question that has no answer by now will have none. */
const QUESTION_MS = 10_000;

export type OcppSide = ReturnType<typeof createOcppSide>;

export function createOcppSide({ registry, prefix, publish, onRegistered, log }: Deps) {
  /** Without a prefix per station it is not known to which of several stations a module belongs. */
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
    if (leaf === 'ocpp_transaction_event' && !mismatch(OcppTransactionEvent, value)) {
      const transactions = transactionsAfter(entry.transactions, value as OcppTransactionEvent);
      if (!transactions || transactions === entry.transactions) return;
      entry.transactions = transactions;
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

  /** Questions for latched values by the last level of their answer topic, which cannot be guessed. */
  const questions = new Map<string, { readonly station: string; readonly leaf: string }>();
  const newQuestion = (station: string, leaf: string): string => {
    const id = `latched-${randomUUID()}`;
    questions.set(id, { station, leaf });
    setTimeout(() => questions.delete(id), QUESTION_MS).unref();
    return id;
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
        const replyTo = DISCOVERY.answerTopic(newQuestion(entry.station, leaf));
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

    /** A latched value that was asked for. `false`: this topic is something else. */
    hearLatched(topic: string, payload: Uint8Array): boolean {
      const stripped = prefix.strip(topic);
      const question = questions.get(stripped?.rest.split('/').at(-1) ?? '');
      if (!question) return false;
      // What a station says of another one counts for nothing.
      if ((stripped?.station ?? question.station) === question.station)
        hear(registry.get(question.station), question.leaf, payload);
      return true;
    },
  };
}
