/**
 * One MQTT connection of the leader: a fixed client id, so that the next leader takes the session over and the broker
 * closes ours; QoS 1 with the acknowledgement sent when the work is done; no reconnecting by itself. When it is closed it
 * is over.
 */
import type { Socket } from 'node:net';
import { MAX_MESSAGE_BYTES } from '@khumbu/shared/contract/codec';
import { isPublishable } from '@khumbu/shared/contract/topics';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { connect, type IClientOptions, type ISubscriptionGrant, type MqttClient } from 'mqtt';
import { assertMay, type Standing } from '../../leader/standing.js';
import { type Inbound, MAX_OPEN, type RawPacket, receive } from './incoming.js';

/** The broker drops longer packets: a payload that is looked at, its topic, and some properties. */
const MAX_PACKET_BYTES = MAX_MESSAGE_BYTES + 128 * 1024;
/** Retained messages are from another time, and would come again with every connection. EVerest retains nothing. */
const RETAINED_NOT_WANTED = 2;

/** `publish`: by the leader alone. `refuse`: also by a gateway that may only refuse. */
export type Speech = 'publish' | 'refuse';

export interface MqttSessionOptions {
  readonly url: string;
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
  /** PEM of the authorities of the broker's certificate. */
  readonly ca?: string;
  /** How long the broker keeps what arrives while no gateway is connected, in seconds. */
  readonly sessionExpiryS: number;
  readonly keepAliveS: number;
  readonly connectTimeoutMs: number;
  /** Asked before every publish and acknowledgement. `standby`: the session is another's. */
  readonly standing: () => Standing;
}

export type MqttSession = ReturnType<typeof createMqttSession>;

/** MQTT 5, 3.4.2.1: the message was taken, and there is no subscriber. */
const NO_MATCHING_SUBSCRIBERS = 16;
/** MQTT 5, 4.13: a client with our client id has connected. */
const SESSION_TAKEN_OVER = 142;

/** Ids of what was published without a subscriber. mqtt.js counts it as success and does not pass the acknowledgement on. */
function unheardMessages(client: MqttClient): Set<number> {
  const unheard = new Set<number>();
  client.on('packetreceive', (packet) => {
    const { cmd, reasonCode, messageId } = packet as RawPacket;
    if (cmd === 'puback' && reasonCode === NO_MATCHING_SUBSCRIBERS && messageId !== undefined) unheard.add(messageId);
  });
  return unheard;
}

const clientOptions = (options: MqttSessionOptions): IClientOptions => ({
  protocolVersion: 5,
  clientId: options.clientId,
  clean: false,
  // Until `connect`.
  manualConnect: true,
  reconnectPeriod: 0,
  resubscribe: false,
  keepalive: options.keepAliveS,
  connectTimeout: options.connectTimeoutMs,
  properties: {
    sessionExpiryInterval: options.sessionExpiryS,
    receiveMaximum: MAX_OPEN,
    maximumPacketSize: MAX_PACKET_BYTES,
  },
  ...(options.username === undefined ? {} : { username: options.username }),
  ...(options.password === undefined ? {} : { password: options.password }),
  ...(options.ca === undefined ? {} : { ca: options.ca }),
});

/** Resolves with why, when the connection has ended. */
function whenClosed(client: MqttClient): Promise<string> {
  let reason = 'connection closed';
  client.on('error', (error) => {
    reason = error.message;
  });
  client.on('disconnect', (packet) => {
    reason =
      packet.reasonCode === SESSION_TAKEN_OVER
        ? 'another client has our session: the next leader, or somebody else who uses our user name or client id'
        : `the broker ended the session (${packet.reasonCode ?? 0})`;
  });
  return new Promise((resolve) => client.once('close', () => resolve(reason)));
}

const closedError = (): CodedError => new CodedError('MQTT_CLOSED', 'the MQTT session is over');

export function createMqttSession(options: MqttSessionOptions) {
  const client = connect(options.url, clientOptions(options));
  const unheard = unheardMessages(client);
  const closed = whenClosed(client);
  let state: 'new' | 'open' | 'over' = 'new';
  /** What waits for the broker. Kept here and not at `closed`, which would keep every publish of a session's life. */
  const waiting = new Set<(error: Error) => void>();
  void closed.then(() => {
    state = 'over';
    client.end(true);
    for (const reject of waiting) reject(closedError());
    waiting.clear();
  });
  /** Settles with what the broker says, or rejects when the session ends before. */
  const orClosed = <T>(begin: (done: (error?: Error | null, result?: T) => void) => void): Promise<T> =>
    new Promise((resolve, reject) => {
      waiting.add(reject);
      begin((error, result) => {
        waiting.delete(reject);
        if (error) reject(error);
        else resolve(result as T);
      });
    });

  return {
    /** Resolves when the connection has ended, on whichever side. */
    closed,
    /** Connected, and not over yet. */
    isOpen: (): boolean => state === 'open',
    /**
     * Connect, once. Messages may arrive before it resolves. `sessionPresent`: the broker had kept our session, so messages
     * may be older than the connection. Rejects with `MQTT_UNREACHABLE` when the broker refuses or cannot be reached.
     */
    connect: (inbound: Inbound): Promise<{ readonly sessionPresent: boolean }> =>
      new Promise((resolve, reject) => {
        receive(client, inbound, options.standing);
        client.once('connect', ({ sessionPresent }) => {
          // Without it the broker's answers wait for the next packet: 40 ms each.
          (client.stream as Partial<Socket>).setNoDelay?.(true);
          state = 'open';
          resolve({ sessionPresent });
        });
        void closed.then((why) => reject(new CodedError('MQTT_UNREACHABLE', `cannot reach the MQTT broker: ${why}`)));
        client.connect();
      }),
    async subscribe(filters: Readonly<Record<string, 0 | 1>>): Promise<void> {
      if (state === 'over') throw closedError();
      const map = Object.fromEntries(
        Object.entries(filters).map(([filter, qos]) => [filter, { qos, rh: RETAINED_NOT_WANTED }]),
      );
      const granted = await orClosed<ISubscriptionGrant[]>((done) => client.subscribe(map, done));
      const refused = granted.find((grant) => grant.qos > 2);
      if (refused) throw new CodedError('MQTT_REFUSED', `the broker refuses the subscription ${refused.topic}`);
    },
    /**
     * Resolves when the broker has it (QoS 1: acknowledged). `false`: the broker says that no client has subscribed; `true`
     * may still be none where a broker does not say so. Rejects with `MQTT_CLOSED` once the session is over, with `NOT_LEADING`
     * while this gateway may only refuse, with `MQTT_BAD_TOPIC` for a topic the broker would not forgive.
     */
    publish: async (topic: string, payload: string, qos: 0 | 1, speech: Speech = 'publish'): Promise<boolean> => {
      const standing = options.standing();
      if (state === 'over' || standing === 'standby') throw closedError();
      assertMay(standing, speech);
      if (!isPublishable(topic)) throw new CodedError('MQTT_BAD_TOPIC', 'not a topic to publish on');
      let messageId = 0;
      await orClosed((done) => {
        client.publish(topic, payload, { qos }, done);
        messageId = client.getLastMessageId();
      });
      return qos === 0 || !unheard.delete(messageId);
    },
    /** End it. The broker keeps the session. */
    async end(): Promise<void> {
      if (state !== 'over') client.end(false);
      if (state !== 'new') await closed;
    },
  };
}
