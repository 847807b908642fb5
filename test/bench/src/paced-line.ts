/**
 * Lines to an origin that let bytes pass at the pace of a WAN and count them: real servers do not tell what they have sent
 * to a client that was killed.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { Cleanup } from '@khumbu/chaos/depot/cleanup';

export interface PacedLine {
  readonly port: number;
  /** Bytes that came from the server so far, of protocols too. */
  readonly received: () => number;
}

/** Where a line listens; any free port of 127.0.0.1 by default. */
export interface LinePlace {
  readonly host: string;
  readonly port: number;
}

/** How the server's side of one connection reaches the client. */
type Pass = (server: Socket, client: Socket) => Promise<void>;

/** A port that leads to another one, as long as `cleanup` lasts. */
export async function openLine(
  cleanup: Cleanup,
  serverPort: () => number,
  pass: Pass,
  { host, port }: LinePlace = { host: '127.0.0.1', port: 0 },
): Promise<number> {
  const sockets = new Set<Socket>();
  const line = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const server = connect({ port: serverPort(), host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      socket.on('error', () => socket.destroy());
    }
    // Either end may break: the other one hears of it.
    const broken = (): void => {
      client.destroy();
      server.destroy();
    };
    pipeline(client, server).catch(broken);
    pass(server, client).catch(broken);
  });
  line.listen(port, host);
  await once(line, 'listening');
  cleanup.teardown(() => {
    line.close();
    for (const socket of sockets) socket.destroy();
  });
  return (line.address() as AddressInfo).port;
}

export async function pacedLine(
  cleanup: Cleanup,
  serverPort: () => number,
  bytesPerSecond: number,
  at?: LinePlace,
): Promise<PacedLine> {
  let received = 0;
  const pass: Pass = (server, client) => {
    const pace = new Transform({
      transform(piece: Buffer, _encoding, done) {
        received += piece.length;
        pause((piece.length / bytesPerSecond) * 1000).then(() => done(undefined, piece), done);
      },
    });
    return pipeline(server, pace, client);
  };
  const port = await openLine(cleanup, serverPort, pass, at);
  return { port, received: () => received };
}
