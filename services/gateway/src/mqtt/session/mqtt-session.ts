/**
 * One MQTT connection of the leader: a fixed client id, so that the next leader takes the session over and the broker
 * closes ours; QoS 1 with the acknowledgement sent when the work is done, in the order of arrival; no reconnecting by
 * itself. When it is closed it is over.
 *
 * The acknowledgement goes through a private call of mqtt.js (`_sendPacket`); its public way acknowledges one message
 * at a time, which costs most of the throughput. Kept in this file, shown by a test.
 */
import type { Socket } from 'node:net';
import { MAX_MESSAGE_BYTES } from '@khumbu/shared/contract/codec';
import { isPublishable } from '@khumbu/shared/contract/topics';
import { CodedError } from '@khumbu/shared/runtime/errors';
import { connect, type IClientOptions, type ISubscriptionGrant, type MqttClient } from 'mqtt';
import { assertMay, MAY, type Standing } from '../../leader/standing.js';
import { createFairQueue } from './fair-queue.js';

/** Messages worked on at once, and of one sender. */
const MAX_OPEN = 512;
const MAX_OPEN_OF_ONE = 32;
/** More of one sender do not wait: what comes without acknowledgement is held back by nobody. */
const MAX_WAITING_OF_ONE = 512;
/** The broker keeps longer packets from us: a payload we would look at, its topic, and some properties. */
const MAX_PACKET_BYTES = MAX_MESSAGE_BYTES + 128 * 1024;
/** Retained messages are from another time, and would come again with every connection. EVerest retains nothing. */
const RETAINED_NOT_WANTED = 2;

export interface Incoming {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  /** The broker delivers it again: the previous holder of the session did not acknowledge it. */
  readonly dup: boolean;
  /**
   * Acknowledge it now, ahead of older ones and of the end of its work: it will not come again, whatever becomes of us.
   * Safe to repeat; `undefined` where there is nothing to acknowledge.
   */
  readonly acknowledge?: () => void;
  /** Its work may take long: those behind it are acknowledged before it. */
  readonly stepAside?: () => void;
  /** It only waits from now on: another message is worked on in its place. Safe to repeat. */
  readonly releasePlace?: () => void;
}

/** From whom a message is, for taking turns, and whether anything is done with it. */
export interface Classified {
  readonly sender: string;
  readonly how: 'serve' | 'refuse' | 'drop';
}
const FROM_ONE: Classified = { sender: '', how: 'serve' };

/** `publish`: for the leader alone. `refuse`: also while nobody knows who leads. */
export type Speech = 'publish' | 'refuse';

export interface MqttSessionOptions {
  readonly url: string;
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
  /** PEM of the authorities of the broker's certificate. */
  readonly ca?: string;
  /** How long the broker keeps what arrives while nobody is connected, in seconds. */
  readonly sessionExpiryS: number;
  readonly keepAliveS: number;
  readonly connectTimeoutMs: number;
  /** Asked for each message as it arrives; must be quick. Default: all are served and from one sender. */
  readonly sort?: (message: Incoming) => Classified;
  /** Does the work. The message is acknowledged when it is done; a rejection ends the session, and it comes again. */
  readonly onMessage: (message: Incoming, how: 'serve' | 'refuse') => Promise<void> | void;
  /** Asked before every publish and acknowledgement. `standby`: the session is another's. */
  readonly standing: () => Standing;
}

export interface MqttSession {
  /** The broker had kept our session, so messages may be older than the connection. */
  readonly sessionPresent: boolean;
  subscribe(filters: Readonly<Record<string, 0 | 1>>): Promise<void>;
  /**
   * Resolves when the broker has it (QoS 1: acknowledged). `false`: the broker says that nobody listens; `true` may still
   * be nobody where a broker does not say so. Rejects with `MQTT_CLOSED` once the session is over, with `NOT_LEADING`
   * while we may only refuse, with `MQTT_BAD_TOPIC` for a topic the broker would not forgive.
   */
  publish(topic: string, payload: string, qos: 0 | 1, speech?: Speech): Promise<boolean>;
  /** Resolves when the connection has ended, whoever ended it. */
  readonly closed: Promise<string>;
  /** End it. `keepSession: false` also drops the broker's memory of it. */
  end(): Promise<void>;
}

interface RawPacket {
  readonly cmd: string;
  readonly reasonCode?: number;
  readonly topic?: string | Buffer;
  readonly payload?: string | Buffer;
  readonly qos?: number;
  readonly dup?: boolean;
  readonly messageId?: number;
}
interface PrivateClient {
  handleMessage(packet: RawPacket, done: (error?: Error) => void): void;
  _sendPacket(packet: { cmd: 'puback'; messageId: number; reasonCode: number }, sent: () => void): void;
}

/** A message that is not acknowledged yet, or was ahead of its turn. */
interface OpenMessage {
  readonly messageId: number;
  done: boolean;
  sent: boolean;
  /** Nobody waits for it. */
  isAside: boolean;
  next: OpenMessage | undefined;
}

/**
 * Acknowledges in the order of arrival, whatever the order of finishing (MQTT 5, 4.6). `ahead` breaks it for one message:
 * while Redis is out, an old one whose work waits must not keep what was refused from being acknowledged. `aside` breaks
 * it for all behind one message.
 */
function orderedAcks(client: PrivateClient) {
  // A list and no array: thousands may wait, and taking the first of an array moves all others.
  let first: OpenMessage | undefined;
  let last: OpenMessage | undefined;
  const send = (message: OpenMessage): void => {
    const { messageId } = message;
    if (!message.sent) client._sendPacket({ cmd: 'puback', messageId, reasonCode: 0 }, () => undefined);
    message.sent = true;
  };
  const passOn = (): void => {
    for (; first && (first.done || first.isAside); first = first.next) if (first.done) send(first);
    if (!first) last = undefined;
  };
  const finish = (message: OpenMessage): void => {
    message.done = true;
    if (message.isAside) send(message);
    passOn();
  };
  return {
    take(messageId: number): { finished: () => void; ahead: () => void; aside: () => void } {
      const message: OpenMessage = { messageId, done: false, sent: false, isAside: false, next: undefined };
      if (last) last.next = message;
      else first = message;
      last = message;
      return {
        finished: () => finish(message),
        ahead: () => {
          send(message);
          finish(message);
        },
        aside: () => {
          message.isAside = true;
          passOn();
        },
      };
    },
  };
}

/** MQTT 5, 3.4.2.1: the message was taken, and nobody has subscribed to it. */
const NO_MATCHING_SUBSCRIBERS = 16;

/** Ids of what was published to nobody. mqtt.js counts it as success and does not pass the acknowledgement on. */
function unheardMessages(client: MqttClient): Set<number> {
  const unheard = new Set<number>();
  client.on('packetreceive', (packet) => {
    const { cmd, reasonCode, messageId } = packet as RawPacket;
    if (cmd === 'puback' && reasonCode === NO_MATCHING_SUBSCRIBERS && messageId !== undefined) unheard.add(messageId);
  });
  return unheard;
}

/** MQTT 5, 4.13: a client with our client id has connected. */
const SESSION_TAKEN_OVER = 142;

const DEFERRED = new Error('acknowledged later');

/** The connection is read on all the time: work waits for acknowledgements of what it publishes, and they come the same way. */
function install(client: MqttClient, { sort, onMessage, standing }: MqttSessionOptions): void {
  const raw = client as unknown as PrivateClient;
  const acks = orderedAcks(raw);
  const queue = createFairQueue({ atOnce: MAX_OPEN, perSender: sort ? MAX_OPEN_OF_ONE : MAX_OPEN });
  const end = (): void => void client.end(true);
  raw.handleMessage = (packet, next) => {
    const message: Incoming = {
      topic: String(packet.topic),
      payload: typeof packet.payload === 'string' ? Buffer.from(packet.payload) : (packet.payload ?? Buffer.alloc(0)),
      qos: (packet.qos ?? 0) as 0 | 1 | 2,
      dup: packet.dup ?? false,
    };
    const { sender, how } = sort?.(message) ?? FROM_ONE;
    const isDropped = how === 'drop' || queue.waitingOf(sender) >= MAX_WAITING_OF_ONE;
    if (message.qos !== 1 || packet.messageId === undefined) {
      if (!isDropped) queue.take(sender, () => onMessage(message, how)).catch(end);
      next();
      return;
    }
    const { finished, ahead, aside } = acks.take(packet.messageId);
    const acknowledge = (): void => {
      if (MAY[standing()].refuse) ahead();
    };
    // The session is another's: the message comes to it, too.
    const done = (): void => {
      const may = MAY[standing()];
      if (may.publish) finished();
      else if (may.refuse) ahead();
      else end();
    };
    if (isDropped) done();
    else {
      const work = (releasePlace: () => void): Promise<void> | void =>
        onMessage({ ...message, acknowledge, stepAside: aside, releasePlace }, how);
      queue.take(sender, work).then(done, end);
    }
    // "Not now" keeps mqtt.js from acknowledging; the packet loop goes on.
    next(DEFERRED);
  };
}

/** Connect. Rejects with `MQTT_UNREACHABLE` when the broker does not take us. */
export async function openMqttSession(options: MqttSessionOptions): Promise<MqttSession> {
  const clientOptions: IClientOptions = {
    protocolVersion: 5,
    clientId: options.clientId,
    clean: false,
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
  };
  const client = connect(options.url, clientOptions);
  install(client, options);
  const unheard = unheardMessages(client);
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
  const closed = new Promise<string>((resolve) => client.once('close', () => resolve(reason)));

  const sessionPresent = await new Promise<boolean>((resolve, reject) => {
    client.once('connect', (connack) => {
      // Without it the broker's answers wait for the next packet: 40 ms each.
      (client.stream as Partial<Socket>).setNoDelay?.(true);
      resolve(connack.sessionPresent);
    });
    void closed.then((why) => {
      client.end(true);
      reject(new CodedError('MQTT_UNREACHABLE', `cannot reach the MQTT broker: ${why}`));
    });
  });

  let over = false;
  const closedError = (): CodedError => new CodedError('MQTT_CLOSED', 'the MQTT session is over');
  /** What waits for the broker. Kept here and not at `closed`, which would keep every publish of a session's life. */
  const open = new Set<(error: Error) => void>();
  void closed.then(() => {
    over = true;
    client.end(true);
    for (const reject of open) reject(closedError());
    open.clear();
  });
  /** Settles with what the broker says, or rejects when the session ends before. */
  const orClosed = <T>(begin: (done: (error?: Error | null, result?: T) => void) => void): Promise<T> =>
    new Promise((resolve, reject) => {
      open.add(reject);
      begin((error, result) => {
        open.delete(reject);
        if (error) reject(error);
        else resolve(result as T);
      });
    });

  return {
    sessionPresent,
    closed,
    async subscribe(filters) {
      if (over) throw closedError();
      const map = Object.fromEntries(
        Object.entries(filters).map(([filter, qos]) => [filter, { qos, rh: RETAINED_NOT_WANTED }]),
      );
      const granted = await orClosed<ISubscriptionGrant[]>((done) => client.subscribe(map, done));
      const refused = granted.find((grant) => grant.qos > 2);
      if (refused) throw new CodedError('MQTT_REFUSED', `the broker refuses the subscription ${refused.topic}`);
    },
    async publish(topic, payload, qos, speech = 'publish') {
      const standing = options.standing();
      if (over || standing === 'standby') throw closedError();
      assertMay(standing, speech);
      if (!isPublishable(topic)) throw new CodedError('MQTT_BAD_TOPIC', 'not a topic to publish on');
      let messageId = 0;
      await orClosed((done) => {
        client.publish(topic, payload, { qos }, done);
        messageId = client.getLastMessageId();
      });
      return qos === 0 || !unheard.delete(messageId);
    },
    async end() {
      if (!over) client.end(false);
      await closed;
    },
  };
}
