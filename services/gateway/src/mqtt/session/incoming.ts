/** What comes in over one MQTT connection: classified, taken in turns by sender, and acknowledged when its work is done. */
import type { MqttClient } from 'mqtt';
import { MAY, type Standing } from '../../leader/standing.js';
import { createAcknowledgements, type PrivateSender } from './acknowledgements.js';
import { createSenderQueue } from './sender-queue.js';

/** Messages worked on at once, and of one sender. */
export const MAX_OPEN = 512;
const MAX_OPEN_OF_ONE = 32;
/** More of one sender are dropped: the broker holds nothing back that needs no acknowledgement. */
const MAX_WAITING_OF_ONE = 512;

export interface Incoming {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  /** The broker delivers it again: the previous holder of the session did not acknowledge it. */
  readonly dup: boolean;
  /**
   * Acknowledge it now, ahead of older ones and of the end of its work: it will not come again, whatever becomes of this
   * process. Safe to repeat; `undefined` where there is nothing to acknowledge.
   */
  readonly acknowledge?: () => void;
  /** Its work may take long: those behind it are acknowledged before it. */
  readonly stepAside?: () => void;
  /** It only waits from now on: another message is worked on in its place. Safe to repeat. */
  readonly releasePlace?: () => void;
}

/** The sender of a message, for taking turns, and whether anything is done with it. */
export interface Classified {
  readonly sender: string;
  readonly how: 'serve' | 'refuse' | 'drop';
}
const FROM_ONE: Classified = { sender: '', how: 'serve' };

export interface Inbound {
  /** Asked for each message as it arrives; must be quick. Default: all are served and from one sender. */
  readonly classify?: (message: Incoming) => Classified;
  /** Does the work. The message is acknowledged when it is done; a rejection ends the session, and it comes again. */
  readonly onMessage: (message: Incoming, how: 'serve' | 'refuse') => Promise<void> | void;
  /** Told of each that nothing is done with; must be quick. */
  readonly onDropped?: (message: Incoming) => void;
}

export interface RawPacket {
  readonly cmd: string;
  readonly reasonCode?: number;
  readonly topic?: string | Buffer;
  readonly payload?: string | Buffer;
  readonly qos?: number;
  readonly dup?: boolean;
  readonly messageId?: number;
}
interface PrivateClient extends PrivateSender {
  handleMessage(packet: RawPacket, done: (error?: Error) => void): void;
}

const DEFERRED = new Error('acknowledged later');

const messageOf = ({ topic, payload = Buffer.alloc(0), qos = 0, dup = false }: RawPacket): Incoming => ({
  topic: String(topic),
  payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
  qos: qos as 0 | 1 | 2,
  dup,
});

/**
 * From now on messages are worked on. The connection is read on all the time: work waits for acknowledgements of what it
 * publishes, and they come the same way.
 */
export function receive(
  client: MqttClient,
  { classify, onMessage, onDropped }: Inbound,
  standing: () => Standing,
): void {
  const raw = client as unknown as PrivateClient;
  const acknowledgements = createAcknowledgements(raw);
  const queue = createSenderQueue({ atOnce: MAX_OPEN, perSender: classify ? MAX_OPEN_OF_ONE : MAX_OPEN });
  const end = (): void => void client.end(true);
  raw.handleMessage = (packet, next) => {
    const message = messageOf(packet);
    const { sender, how } = classify?.(message) ?? FROM_ONE;
    const isDropped = how === 'drop' || queue.waitingOf(sender) >= MAX_WAITING_OF_ONE;
    if (isDropped) onDropped?.(message);
    if (message.qos !== 1 || packet.messageId === undefined) {
      if (!isDropped) queue.take(sender, () => onMessage(message, how)).catch(end);
      next();
      return;
    }
    const { finished, ahead, aside } = acknowledgements.take(packet.messageId);
    const acknowledge = (): void => {
      if (MAY[standing()].refuse) ahead();
    };
    const done = (): void => {
      const may = MAY[standing()];
      if (may.publish) finished();
      else if (may.refuse) ahead();
      // The session is another's: the message comes to it, too.
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
