/** What a broker says to a stranger. */
import { randomBytes } from 'node:crypto';
import { connect, type IClientOptions, type IConnackPacket } from 'mqtt';
import type { BrokerFacts } from './sight.js';

const PATIENCE_MS = 5000;

type Said =
  | { readonly kind: 'taken'; readonly packet: IConnackPacket }
  | { readonly kind: 'refused'; readonly code: number }
  | { readonly kind: 'silent'; readonly reason: string };

/** MQTT 3.1.1 3.2.2.3, unacceptable protocol version; MQTT 5 3.2.2.2, unsupported protocol version. */
const WRONG_VERSION: ReadonlySet<number> = new Set([1, 132]);

/** One attempt, under an id of its own and without a user: nobody's session is touched. */
function greet(url: string, options: IClientOptions): Promise<Said> {
  return new Promise((resolve) => {
    const client = connect(url, {
      clientId: `khumbu-doctor-${randomBytes(8).toString('hex')}`,
      clean: true,
      reconnectPeriod: 0,
      connectTimeout: PATIENCE_MS,
      ...options,
    });
    let reason = 'it ended the connection without a word';
    const end = (said: Said): void => {
      clearTimeout(timer);
      resolve(said);
      client.end(true);
    };
    const timer = setTimeout(() => end({ kind: 'silent', reason: 'no answer in time' }), PATIENCE_MS + 500);
    client.once('connect', (packet) => end({ kind: 'taken', packet }));
    client.on('error', (error) => {
      const code = 'code' in error ? error.code : undefined;
      if (typeof code === 'number') end({ kind: 'refused', code });
      else reason = error.message === '' ? String(code ?? error.name) : error.message;
    });
    client.once('close', () => end({ kind: 'silent', reason }));
  });
}

/** Never rejects. */
export async function lookAtBrokerAt(url: string, ca: string | undefined): Promise<BrokerFacts> {
  const tls = ca === undefined ? {} : { ca };
  const five = await greet(url, { ...tls, protocolVersion: 5 });
  if (five.kind === 'taken') {
    const { maximumQoS, maximumPacketSize } = five.packet.properties ?? {};
    return {
      protocol: 'MQTT 5',
      isOpen: true,
      ...(maximumQoS === undefined ? {} : { maximumQoS }),
      ...(maximumPacketSize === undefined ? {} : { maximumPacketSize }),
    };
  }
  if (five.kind === 'refused' && !WRONG_VERSION.has(five.code)) return { protocol: 'MQTT 5', isOpen: false };
  const older = await greet(url, { ...tls, protocolVersion: 4 });
  if (older.kind !== 'silent') return { protocol: 'MQTT 3.1.1', isOpen: older.kind === 'taken' };
  return { protocol: 'none', isOpen: false, reason: five.kind === 'silent' ? five.reason : older.reason };
}
