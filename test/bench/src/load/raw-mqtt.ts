/**
 * As much of MQTT 3.1.1 as many stations on one connection need, written so that a generator costs far less than what
 * it measures: CONNECT, SUBSCRIBE at QoS 0, PUBLISH at QoS 2 with its handshake, and what arrives at QoS 0.
 */
import { connect, type Socket } from 'node:net';

const utf8 = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
};

function packet(type: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length: number[] = [];
  let left = body.length;
  do {
    length.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    left >>= 7;
  } while (left > 0);
  return Buffer.concat([Buffer.from([type, ...length]), body]);
}

const CONNACK = 2;
const PUBLISH = 3;
const PUBREC = 5;
const PUBCOMP = 7;
const SUBACK = 9;

export interface RawMqtt {
  /** Queue a publish; `flush` sends what is queued in one write. */
  publish(topic: Buffer, payload: Buffer): void;
  flush(): void;
  subscribe(filter: string): Promise<void>;
  /** Publishes whose handshake is not over. */
  open(): number;
  /** Publishes whose handshake is over. */
  completed(): number;
  end(): void;
}

/** The topic of a publish as its bytes on the wire. */
export const topicBytes = (topic: string): Buffer => utf8(topic);

/** Calls `onMessage` with the topic of everything that arrives. Throws when the connection breaks. */
export async function connectRaw(url: string, clientId: string, onMessage: (topic: string) => void): Promise<RawMqtt> {
  const { hostname, port } = new URL(url);
  const socket: Socket = connect({ host: hostname, port: Number(port) });
  socket.setNoDelay(true);
  let queue: Buffer[] = [];
  let nextId = 1;
  let open = 0;
  let completed = 0;
  let buffer = Buffer.alloc(0);
  const events = new Map<number, () => void>();

  const take = (type: number, body: Buffer): void => {
    if (type === PUBREC) queue.push(Buffer.from([0x62, 2, body[0] as number, body[1] as number]));
    else if (type === PUBCOMP) {
      open -= 1;
      completed += 1;
    } else if (type === PUBLISH) onMessage(body.toString('latin1', 2, 2 + body.readUInt16BE(0)));
    else events.get(type)?.();
  };
  const flush = (): void => {
    if (queue.length === 0) return;
    socket.write(queue.length === 1 ? (queue[0] as Buffer) : Buffer.concat(queue));
    queue = [];
  };
  socket.on('data', (chunk) => {
    buffer = buffer.length === 0 ? chunk : Buffer.concat([buffer, chunk]);
    let at = 0;
    while (at + 2 <= buffer.length) {
      let length = 0;
      let head = 1;
      let byte: number;
      do {
        byte = buffer[at + head] ?? 0x80;
        length |= (byte & 0x7f) << (7 * (head - 1));
        head += 1;
      } while (byte & 0x80 && at + head < buffer.length);
      if (byte & 0x80 || at + head + length > buffer.length) break;
      take((buffer[at] as number) >> 4, buffer.subarray(at + head, at + head + length));
      at += head + length;
    }
    buffer = buffer.subarray(at);
    flush();
  });
  const comes = (type: number): Promise<void> =>
    new Promise((resolve, reject) => {
      events.set(type, resolve);
      socket.once('close', () => reject(new Error('the broker closed the connection')));
    });

  const accepted = comes(CONNACK);
  const keepAliveS = Buffer.from([0, 0]);
  socket.write(packet(0x10, utf8('MQTT'), Buffer.from([4, 2]), keepAliveS, utf8(clientId)));
  await accepted;
  return {
    publish(topic, payload) {
      const id = Buffer.from([nextId >> 8, nextId & 0xff]);
      nextId = nextId === 0xffff ? 1 : nextId + 1;
      open += 1;
      queue.push(packet(0x34, topic, id, payload));
    },
    flush,
    async subscribe(filter) {
      const granted = comes(SUBACK);
      socket.write(packet(0x82, Buffer.from([0xff, 0xff]), utf8(filter), Buffer.from([0])));
      await granted;
    },
    open: () => open,
    completed: () => completed,
    end: () => void socket.destroy(),
  };
}
